# SPDX-License-Identifier: Apache-2.0
"""Scores of all tasks of a sequence: of a replay as it runs, or of topics that a bag holds."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.bags.reader import BagReader
from perception_nodes.evaluation.bag_source import label_classes
from perception_nodes.evaluation.bag_truth import BagTruth
from perception_nodes.evaluation.recordings.results import (
    model_infos,
    recorded_results,
    recorded_tasks,
)
from perception_nodes.evaluation.recordings.summaries import Summary
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers import SCORERS, Score
from perception_nodes.types import FloatArray, Odometry, PerceptionError, PlaceMatches

__all__ = ['Scores', 'SequenceScorer', 'score_outputs']

Keep = Callable[[str, Any], None]


@dataclass
class Scores:
    """What the results of a sequence are and how good they are.

    Attributes
    ----------
    tasks : tasks that left results.
    messages : number of messages by topic.
    summary : statistics of the results alone, by task.
    scored : what was counted against the ground truth, by task.
    poses : odom_from_base [N, 4, 4] of all frames; pose_stamps_ns : theirs; true_poses : of
        those with ground truth, else NaN.
    infos : the model_info of each task.
    places : every image's candidate places.
    """

    tasks: tuple[str, ...] = ()
    messages: Mapping[str, int] = field(default_factory=dict)
    summary: dict[str, dict[str, float]] = field(default_factory=dict)
    scored: dict[str, Score] = field(default_factory=dict)
    pose_stamps_ns: list[int] = field(default_factory=list)
    poses: FloatArray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    true_poses: FloatArray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    infos: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    places: list[PlaceMatches] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Numbers by task and name; a metric that has no value is left out."""
        metrics = {task: score.compute() for task, score in self.scored.items()}
        return {task: values for task, values in metrics.items() if values}


class SequenceScorer:
    """Scores results as they come, in any order of tasks.

    Parameters
    ----------
    bag : open, with /ground_truth/ topics, matched by stamp; may be without any.
    tasks : whose results will come. infos : their model cards, as ``model_info`` holds them.
    """

    def __init__(
        self, bag: BagReader, tasks: Collection[str], infos: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._truth = BagTruth(bag)
        source = Source((), 0, label_classes(bag))
        self._scores = {
            task: Score(SCORERS[task](source, infos.get(task, {})))
            for task in tasks if task in SCORERS
        }
        self._infos = infos
        self._summary = Summary()
        self._poses: list[Odometry] = []
        self._places: list[PlaceMatches] = []

    def add(self, task: str, result: Any) -> None:
        """Count one result; poses are scored at the end, in the order of their stamps."""
        if task == 'visual_odometry':
            self._poses.append(result)
            return
        if task == 'place_recognition':
            self._places.append(result)
        self._score(task, result)

    def finish(self, messages: Mapping[str, int]) -> Scores:
        """Return the scores; messages : number of messages by topic."""
        self._poses.sort(key=lambda odometry: odometry.stamp_ns)
        for pose in self._poses:
            self._score('visual_odometry', pose)
        unknown = np.full((4, 4), np.nan)
        truths = [self._truth.path.at(pose.stamp_ns) for pose in self._poses]
        scores = Scores(
            tuple(self._scores), messages, self._summary.compute(),
            self._scores, infos=self._infos, places=self._places,
        )
        if self._poses:
            scores.pose_stamps_ns = [pose.stamp_ns for pose in self._poses]
            scores.poses = np.stack([pose.odom_from_base for pose in self._poses])
            scores.true_poses = np.stack([unknown if pose is None else pose for pose in truths])
        return scores

    def _score(self, task: str, result: Any) -> None:
        if task in self._scores:
            self._scores[task].add(self._truth.at(result.stamp_ns, (task,)), result)
        self._summary.add(task, result)


def score_outputs(
    outputs: str | Path, truth: str | Path, *, keep: Keep = lambda _task, _result: None
) -> Scores:
    """Read all results of a bag and score them against the ground truth of another bag.

    Parameters
    ----------
    outputs : bag with the nodes' topics, recorded live or by a replay.
    truth : bag with /ground_truth/ topics, matched by stamp; may be without any.
    keep : called with every task and result, for images.

    Raises
    ------
    PerceptionError
        If a bag cannot be read, or holds no result of any node.
    """
    with BagReader(outputs) as output_bag, BagReader(truth) as truth_bag:
        tasks = recorded_tasks(output_bag)
        if not tasks:
            raise PerceptionError(f'{outputs} holds no topic of a perception node')
        scorer = SequenceScorer(truth_bag, tasks, model_infos(output_bag))
        for task, result in recorded_results(output_bag):
            scorer.add(task, result)
            keep(task, result)
        return scorer.finish({
            name: summary.count for name, summary in output_bag.topics().items()
        })
