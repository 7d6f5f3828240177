# SPDX-License-Identifier: Apache-2.0
"""A task that this package does not know is scored against a topic of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.evaluation.recordings import recording_report
from perception_nodes.evaluation.recordings.scores import SequenceScorer
from perception_nodes.evaluation.report import render_report
from perception_nodes.evaluation.report_parts import ReportImage
from perception_nodes.evaluation.scorers import SCORERS, Scorer
from perception_nodes.messages.image import encode_image
from perception_nodes.metrics.info import MetricInfo

TOPIC, STAMP_NS = '/ground_truth/sharpness', 5_000_000_000


@dataclass(frozen=True)
class Sharpness:
    """Result of the new task."""

    stamp_ns: int
    sharpness: np.ndarray


class SharpnessMetric:
    """Its metric."""

    infos: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo('mean_error', 'mean error of sharpness', 'Mean over all pixels.', better='low'),
    )

    def __init__(self) -> None:
        self.errors: list[float] = []

    def compute(self) -> dict[str, float]:
        return {'mean_error': float(np.mean(self.errors))}


class SharpnessScorer(Scorer):
    """Its scorer."""

    task = 'sharpness'
    metric_type = SharpnessMetric
    truth_topic = TOPIC
    headlines = ('mean_error',)

    def score(self, metric: SharpnessMetric, truth: Any, result: Sharpness) -> float | None:
        if TOPIC not in truth.others:
            return None
        metric.errors.append(float(np.abs(result.sharpness - truth.others[TOPIC]).mean()))
        return metric.errors[-1]

    def images(
        self, image: Any, truth: Any, result: Sharpness, others: Any = None
    ) -> list[ReportImage]:
        return [ReportImage(np.uint8(255 * result.sharpness), 'sharpness, 0 to 1')]


@pytest.fixture
def new_task(monkeypatch: pytest.MonkeyPatch) -> str:
    """Add the scorer."""
    monkeypatch.setitem(SCORERS, 'sharpness', SharpnessScorer)
    return 'sharpness'


def test_it_is_scored_shown_and_summarised(tmp_path: Path, new_task: str) -> None:
    with BagWriter(tmp_path / 'truth') as writer:
        true = np.full((3, 4), 0.5, np.float32)
        writer.write(TOPIC, STAMP_NS, encode_image(true, '32FC1', BagFactory(), STAMP_NS, 'cam'))
    results = [Sharpness(STAMP_NS + late, np.full((3, 4), 0.75, np.float32)) for late in (0, 10)]
    with open_bag(tmp_path / 'truth') as bag:
        scorer = SequenceScorer(bag, [new_task], {})
        for result in results:
            scorer.add(new_task, result)
        scores = scorer.finish({'/sharpness_node/sharpness': 2})
    assert scores.metrics == {new_task: {'mean_error': 0.25}}
    assert scores.summary[new_task] == {'frames': 2}
    frames = [(STAMP_NS, {new_task: results[0]})]
    page = render_report(recording_report('made', scores, frames, {}))
    assert 'Sharpness: mean error of sharpness' in page
    assert 'sharpness, 0 to 1' in page


def test_a_task_without_a_scorer_is_summarised(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write('/text', 0, BagFactory().make('std_msgs/msg/String', data='x'))
    with open_bag(tmp_path / 'bag') as bag:
        scorer = SequenceScorer(bag, ['loudness'], {})
        scorer.add('loudness', Sharpness(0, np.zeros((1, 1))))
        scores = scorer.finish({})
    assert (scores.metrics, scores.summary) == ({}, {'loudness': {'frames': 1}})
