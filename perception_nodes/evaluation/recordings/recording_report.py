# SPDX-License-Identifier: Apache-2.0
"""The report of a sequence's results: images of every output, errors, paths, times."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception_nodes.evaluation.metrics_table import metrics_table
from perception_nodes.evaluation.plots import lines, place_matches, trajectory
from perception_nodes.evaluation.recordings.scores import Scores
from perception_nodes.evaluation.recordings.summaries import Summary
from perception_nodes.evaluation.report import format_number
from perception_nodes.evaluation.report_parts import (
    Cell,
    Part,
    Plot,
    Report,
    ReportImage,
    Section,
    Table,
    Text,
)
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.geometry.se3 import inverse
from perception_nodes.types import Image

__all__ = ['Frames', 'headline_figures', 'recording_report']

Frames = Sequence[tuple[int, Mapping[str, Any]]]
Milliseconds = Mapping[str, Mapping[str, float]]
_NO_TRUTH = GroundTruth()


def recording_report(
    title: str, scores: Scores, frames: Frames, images: Mapping[int, Image], *,
    truths: Mapping[int, GroundTruth] | None = None, milliseconds: Milliseconds | None = None,
    notes: Sequence[str] = (), subtitle: str = '', sections: Sequence[Section] = (),
) -> Report:
    """Lay a report out.

    Parameters
    ----------
    scores : of the results.
    frames : (stamp, results by task) to be shown.
    images : the camera's image of these stamps. truths : their ground truth.
    milliseconds : p50 and p99 of each call, by task.
    notes : what a reader must know: what was off, what was missing.
    sections : more of them, after the metrics.
    """
    parts = [
        Section('Notes', [Text(note) for note in notes]),
        *(
            Section(
                f'Frame at {(stamp - frames[0][0]) / 1e9:.2f} s',
                _frame_parts(scores, results, images.get(stamp), (truths or {}).get(stamp)),
            )
            for stamp, results in frames
        ),
        Section('Path', _path_plots(scores)),
        Section('Places', _place_parts(scores)),
        Section('Errors of single frames', _series_plots(scores),
                'Against the ground truth in the bag, by stamp.'),
        Section('Metrics', _metric_parts(scores)),
        *sections,
        Section('Uncertainty', _score_plots(scores),
                'How well each sigma and confidence predicts where the errors are.'),
        Section('Results by themselves', _summary_parts(scores), 'Means over the frames.'),
        Section('Time', _timing_parts(milliseconds or {}), 'Of each call, milliseconds.'),
        Section('Topics', [Table(('topic', 'messages'), sorted(scores.messages.items()))]),
    ]
    return Report(
        title=title, subtitle=subtitle, headline=_headline(scores, milliseconds or {}),
        sections=[section for section in parts if section.parts],
    )


def headline_figures(scores: Scores) -> list[tuple[str, str]]:
    """Value with its unit, and label, of the first metric of every task that has one."""
    figures = []
    for task, metrics in scores.metrics.items():
        info = scores.scored[task].scorer.headline_infos[0]
        if info.name in metrics:
            unit = f' {info.unit}' if info.unit else ''
            figures.append((f'{metrics[info.name]:.3g}{unit}', f'{_title(task)}: {info.label}'))
    return figures


def _headline(scores: Scores, milliseconds: Milliseconds) -> list[tuple[str, str]]:
    frames = max((values.get('frames', 0) for values in scores.summary.values()), default=0)
    figures = [(format_number(frames), 'frames'), *headline_figures(scores)]
    if 'frame' in milliseconds:
        median = next(iter(milliseconds['frame'].values()))
        figures.append((f'{median:.0f} ms', 'all tasks on a frame, median'))
    return figures


def _frame_parts(
    scores: Scores, results: Mapping[str, Any], image: Image | None, truth: GroundTruth | None
) -> list[Part]:
    """Draw the results of one frame, then name the colours."""
    parts: list[Part] = [] if image is None else [ReportImage(image.data, 'camera')]
    scorers = {
        task: score.scorer for task, score in scores.scored.items() if task in results
    }
    for task, scorer in scorers.items():
        parts += scorer.images(image, truth or _NO_TRUTH, results[task])
    return [*parts, *(legend for scorer in scorers.values() for legend in scorer.legend())]


def _path_plots(scores: Scores) -> list[Plot]:
    """Draw the path, and beside it how far it is from the ground truth."""
    if len(scores.poses) < 2:
        return []
    known = np.isfinite(scores.true_poses[:, 0, 0])
    paths = {'odometry': scores.poses[:, :3, 3]}
    if known.any():
        first = int(np.argmax(known))
        odom_from_truth = scores.poses[first] @ inverse(scores.true_poses[first])
        paths['truth'] = (odom_from_truth @ scores.true_poses[known])[:, :3, 3]
    return [
        trajectory(paths, 'Path from above, metres'),
        *_series_plots(scores, ('visual_odometry',)),
    ]


def _place_parts(scores: Scores) -> list[Part]:
    """Draw which earlier place each image resembles, or state that none does."""
    rows = [(result.stamp_ns, match) for result in scores.places for match in result.matches]
    if not rows:
        return [Text(f'No place was seen twice in {len(scores.places)} images.')
                ] if scores.places else []
    first_ns = scores.places[0].stamp_ns
    return [place_matches(
        np.array([(stamp - first_ns) / 1e9 for stamp, _ in rows]),
        np.array([(match.place_stamp_ns - first_ns) / 1e9 for _, match in rows]),
        np.array([match.probability for _, match in rows]),
        np.array([match.inliers > 0 for _, match in rows]),
        'Earlier places that an image may show; ringed: verified by geometry',
    )]


def _series_plots(scores: Scores, tasks: Sequence[str] = ()) -> list[Plot]:
    """Draw the errors of single frames: of some tasks, or of all that are scored on images."""
    plots = []
    for task, score in scores.scored.items():
        chosen = task in tasks if tasks else task != 'visual_odometry'
        if chosen and score.scorer.frame_label and len(score.values) > 1:
            order = np.argsort(score.stamps_ns)
            seconds = (np.array(score.stamps_ns)[order] - min(score.stamps_ns)) / 1e9
            name = score.scorer.frame_label
            plots.append(lines(
                {_title(task): np.array(score.values)[order]}, f'{_title(task)}: {name}',
                x=seconds, x_label='s', y_label=name, wide=False,
            ))
    return plots


def _metric_parts(scores: Scores) -> list[Part]:
    return [
        metrics_table({'value': metrics}, scores.scored[task].metric.infos, _title(task))
        for task, metrics in scores.metrics.items()
    ]


def _score_plots(scores: Scores) -> list[Plot]:
    """Draw what the metrics hold; the paths have a section of their own."""
    return [
        Plot(plot.svg, f'{_title(task)}: {plot.caption}', plot.wide)
        for task in scores.metrics if task != 'visual_odometry'
        for plot in scores.scored[task].scorer.plots({'ours': scores.scored[task].metric})
    ]


def _summary_parts(scores: Scores) -> list[Part]:
    return [
        metrics_table({'value': values}, Summary.infos, _title(task))
        for task, values in scores.summary.items()
    ]


def _timing_parts(milliseconds: Milliseconds) -> list[Part]:
    if not milliseconds:
        return []
    rows: list[Sequence[Cell]] = [
        (_title(task), *times.values()) for task, times in milliseconds.items()
    ]
    return [Table(('call', *next(iter(milliseconds.values()))), rows)]


def _title(task: str) -> str:
    return task.replace('_', ' ').capitalize()
