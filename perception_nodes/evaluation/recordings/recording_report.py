# SPDX-License-Identifier: Apache-2.0
"""The report of a bag of results: images of every output, errors, paths, times."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception_nodes.evaluation.metrics_table import metric_label, metrics_table
from perception_nodes.evaluation.plots import lines, place_matches, trajectory
from perception_nodes.evaluation.recordings.frame_images import frame_images, legend
from perception_nodes.evaluation.recordings.ground_truth import FLOW
from perception_nodes.evaluation.recordings.scores import Scores
from perception_nodes.evaluation.report import format_number
from perception_nodes.evaluation.report_parts import Part, Plot, Report, Section, Table, Text
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.geometry.se3 import inverse
from perception_nodes.types import Array, Image

__all__ = ['HEADLINES', 'recording_report']

# Metric, unit and label of what stands at the top, by task.
HEADLINES = {
    'segmentation': ('miou', '', 'mIoU of the masks'),
    'stereo_depth': ('epe_px', ' px', 'disparity error'),
    'mono_depth': ('abs_rel', '', 'Abs Rel of mono depth'),
    'optical_flow': ('epe_px', ' px', 'flow error'),
    'visual_odometry': ('end_error_percent', ' %', 'end error of odometry, of the path'),
}
IMAGE_TASKS = ('segmentation', 'stereo_depth', 'mono_depth', 'optical_flow')

Frames = Sequence[tuple[int, Mapping[str, Any]]]


def recording_report(
    title: str, scores: Scores, frames: Frames, images: Mapping[int, Image], *,
    truths: Mapping[int, Mapping[str, Array]] | None = None,
    milliseconds: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (), subtitle: str = '',
) -> Report:
    """Lay a report out.

    Parameters
    ----------
    scores : of the recorded topics.
    frames : (stamp, results by task) to be shown.
    images : the camera's image of these stamps.
    truths : truth images of these stamps by topic.
    milliseconds : p50 and p99 of each call, by task.
    notes : what a reader must know: what was off, what was missing.
    """
    model = scores.infos.get('segmentation', {})
    sections = [
        Section('Notes', [Text(note) for note in notes]),
        *(
            Section(
                f'Frame at {_seconds(stamp, frames)} s',
                [
                    *frame_images(
                        results, images.get(stamp), _truth(stamp, truths or {}, scores), model
                    ),
                    *(legend(model) if 'segmentation' in results else ()),
                ],
            )
            for stamp, results in frames
        ),
        Section('Path', _path_plots(scores)),
        Section('Places', _place_parts(scores)),
        Section('Errors of single frames', _series_plots(scores, IMAGE_TASKS),
                'Against the ground truth in the bag, by stamp.'),
        Section('Metrics', _metric_parts(scores)),
        Section('Uncertainty', _uncertainty_plots(scores),
                'How well each sigma and confidence tells where the errors are.'),
        Section('Results by themselves', _summary_parts(scores), 'Means over the frames.'),
        Section('Time', _timing_parts(milliseconds or {}), 'Of each call, milliseconds.'),
        Section('Topics', _topic_parts(scores)),
    ]
    return Report(
        title=title, subtitle=subtitle, headline=_headline(scores, milliseconds or {}),
        sections=[section for section in sections if section.parts],
    )


def _headline(
    scores: Scores, milliseconds: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, str]]:
    frames = max((values.get('frames', 0) for values in scores.summary.values()), default=0)
    figures = [(format_number(frames), 'frames')]
    for task, (metric, unit, label) in HEADLINES.items():
        value = scores.metrics.get(task, {}).get(metric)
        if value is not None and np.isfinite(value):
            figures.append((f'{value:.3g}{unit}', label))
    if 'frame' in milliseconds:
        median = next(iter(milliseconds['frame'].values()))
        figures.append((f'{median:.0f} ms', 'all tasks on a frame, median'))
    return figures


def _seconds(stamp: int, frames: Frames) -> str:
    return f'{(stamp - frames[0][0]) / 1e9:.2f}'


def _truth(
    stamp: int, truths: Mapping[int, Mapping[str, Array]], scores: Scores
) -> dict[str, Array]:
    """Truth images of a stamp, without the flow if ours is over a longer interval."""
    truth = dict(truths.get(stamp, {}))
    if stamp not in scores.series.get('optical_flow', ([], []))[0]:
        truth.pop(FLOW, None)
    return truth


def _path_plots(scores: Scores) -> list[Plot]:
    """Draw the path, and beside it how far it is from the truth."""
    if len(scores.poses) < 2:
        return []
    known = np.isfinite(scores.true_poses[:, 0, 0])
    paths = {'odometry': scores.poses[:, :3, 3]}
    if known.any():
        first = int(np.argmax(known))
        odom_from_truth = scores.poses[first] @ inverse(scores.true_poses[first])
        paths['truth'] = (odom_from_truth @ scores.true_poses[known])[:, :3, 3]
    return [
        trajectory(paths, 'Path from above, metres'), *_series_plots(scores, ('visual_odometry',))
    ]


def _place_parts(scores: Scores) -> list[Part]:
    """Draw which earlier place each image resembles, or say that none does."""
    rows = [(stamp, place) for stamp, cloud in scores.places for place in cloud]
    if not rows:
        return [Text(f'No place was seen twice in {len(scores.places)} images.')
                ] if scores.places else []
    first = scores.places[0][0] / 1e9
    return [place_matches(
        np.array([stamp / 1e9 - first for stamp, _ in rows]),
        np.array([float(place['stamp']) - first for _, place in rows]),
        np.array([float(place['probability']) for _, place in rows]),
        np.array([int(place['inliers']) > 0 for _, place in rows]),
        'Earlier places that an image may show; ringed: verified by geometry',
    )]


def _series_plots(scores: Scores, tasks: Sequence[str]) -> list[Plot]:
    plots = []
    for task, (stamps, values) in scores.series.items():
        if task in tasks and len(stamps) > 1:
            seconds = (np.array(stamps) - stamps[0]) / 1e9
            name = scores.series_names[task]
            plots.append(lines(
                {_title(task): values}, f'{_title(task)}: {name}', x=seconds, x_label='s',
                y_label=name, wide=False,
            ))
    return plots


def _metric_parts(scores: Scores) -> list[Part]:
    return [
        metrics_table({'value': metrics}, _title(task))
        for task, metrics in scores.metrics.items()
    ]


def _uncertainty_plots(scores: Scores) -> list[Plot]:
    plots: list[Plot] = []
    for task in IMAGE_TASKS:
        if task in scores.scored:
            for plot in SCORERS[task](Source([])).plots({'ours': scores.scored[task]}):
                plots.append(Plot(plot.svg, f'{_title(task)}: {plot.caption}', plot.wide))
    return plots


def _summary_parts(scores: Scores) -> list[Part]:
    return [
        Table(
            ('', 'value'), [(metric_label(name), value) for name, value in values.items()],
            _title(task),
        )
        for task, values in scores.summary.items()
    ]


def _timing_parts(milliseconds: Mapping[str, Mapping[str, float]]) -> list[Part]:
    if not milliseconds:
        return []
    rows = [(_title(task), *times.values()) for task, times in milliseconds.items()]
    return [Table(('call', *next(iter(milliseconds.values()))), rows)]


def _topic_parts(scores: Scores) -> list[Part]:
    return [Table(('topic', 'messages'), sorted(scores.messages.items()))]


def _title(task: str) -> str:
    return task.replace('_', ' ').capitalize()
