# SPDX-License-Identifier: Apache-2.0
"""Scores of a bag of results, whoever recorded it: a replay, live nodes, the demo."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.bags.reader import BagReader
from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.evaluation.recordings.frame_scores import FrameScore, frame_scores
from perception_nodes.evaluation.recordings.ground_truth import TruePath, TruthImages
from perception_nodes.evaluation.recordings.results import (
    model_infos,
    place_candidates,
    recorded_results,
    recorded_tasks,
)
from perception_nodes.evaluation.recordings.summaries import Summary
from perception_nodes.types import Array, FloatArray, Odometry, PerceptionError

__all__ = ['Scores', 'score_outputs']

Keep = Callable[[str, Any], None]


@dataclass
class Scores:
    """What a bag of results holds and how good it is.

    Attributes
    ----------
    tasks : tasks that left results.
    messages : number of messages by topic.
    summary : what the results say by themselves, by task.
    metrics : against the truth, by task; only tasks that had truth.
    series : error of every frame that had truth by task: (stamps, float64 values).
    series_names : what the series are, with the unit.
    scored : the metric objects, for drawings.
    poses : odom_from_base [N, 4, 4] of all frames; true_poses : of those with truth, else NaN.
    infos : what model_info said, by task.
    places : every image's stamp and candidate places, structured arrays as on ``~/matches``.
    """

    tasks: tuple[str, ...] = ()
    messages: dict[str, int] = field(default_factory=dict)
    summary: dict[str, dict[str, float]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    series: dict[str, tuple[list[int], FloatArray]] = field(default_factory=dict)
    series_names: dict[str, str] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)
    poses: FloatArray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    true_poses: FloatArray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    infos: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: list[tuple[int, Array]] = field(default_factory=list)


def score_outputs(
    outputs: str | Path, truth: str | Path, *, keep: Keep = lambda _task, _result: None
) -> Scores:
    """Read all results of a bag and score them against what another bag says was true.

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
        scores = Scores(recorded_tasks(output_bag))
        if not scores.tasks:
            raise PerceptionError(f'{outputs} holds no topic of a perception node')
        scores.messages = {
            name: summary.count for name, summary in output_bag.topics().items()
        }
        scores.infos = model_infos(output_bag)
        classes = scores.infos['segmentation'].get('classes') or CLASSES
        path = TruePath(truth_bag)
        judges = frame_scores(TruthImages(truth_bag), path, classes)
        _read_all(output_bag, judges, path, scores, keep)
        _add_places(output_bag, scores)
    return scores


def _read_all(
    bag: BagReader, judges: dict[str, FrameScore], path: TruePath, scores: Scores, keep: Keep
) -> None:
    """One pass over all dense results; poses are scored after it, in the order of their stamps."""
    summary = Summary()
    poses: list[Odometry] = []
    errors: dict[str, dict[int, float]] = {}
    for task, result in recorded_results(bag):
        if task == 'visual_odometry':
            poses.append(result)
        else:
            _judge(task, result, judges, errors)
            summary.add(task, result)
        keep(task, result)
    poses.sort(key=lambda odometry: odometry.stamp_ns)
    for pose in poses:
        _judge('visual_odometry', pose, judges, errors)
        summary.add('visual_odometry', pose)
    if poses:
        unknown = np.full((4, 4), np.nan)
        truths = [path.at(pose.stamp_ns) for pose in poses]
        scores.poses = np.stack([pose.odom_from_base for pose in poses])
        scores.true_poses = np.stack([unknown if pose is None else pose for pose in truths])
    scores.summary = summary.compute()
    for task, judge in judges.items():
        if metrics := judge.compute():
            values = errors.get(task, {})
            stamps = sorted(values)
            scores.metrics[task] = metrics
            scores.scored[task] = judge.metric
            scores.series[task] = (stamps, np.array([values[stamp] for stamp in stamps]))
            scores.series_names[task] = judge.frame_value


def _judge(
    task: str, result: Any, judges: dict[str, FrameScore], errors: dict[str, dict[int, float]]
) -> None:
    error = judges[task].add(result)
    if error is not None:
        errors.setdefault(task, {})[result.stamp_ns] = error


def _add_places(bag: BagReader, scores: Scores) -> None:
    if 'place_recognition' not in scores.tasks:
        return
    scores.places = place_candidates(bag)
    candidates = [cloud for _, cloud in scores.places]
    best = [float(cloud['similarity'].max()) for cloud in candidates if cloud.size]
    scores.summary['place_recognition'] = {
        'frames': len(candidates),
        'with_candidates': len(best),
        'verified': sum(int((cloud['inliers'] > 0).any()) for cloud in candidates if cloud.size),
    }
    if best:
        scores.summary['place_recognition']['mean_best_similarity'] = float(np.mean(best))
