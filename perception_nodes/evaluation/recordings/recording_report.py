# SPDX-License-Identifier: Apache-2.0
"""The report of a bag of results: pictures of every output, errors, paths, times."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception_nodes.evaluation.metrics_table import metrics_table
from perception_nodes.evaluation.plots import lines, trajectory
from perception_nodes.evaluation.recordings.scores import Scores
from perception_nodes.evaluation.report import (
    Part,
    Picture,
    Plot,
    Report,
    Section,
    Table,
    Text,
    format_number,
)
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.geometry.se3 import inverse
from perception_nodes.messages.pictures import depth_color, flow_color, overlay, sigma_color
from perception_nodes.types import Depth, Flow, Image, Segmentation

__all__ = ['HEADLINES', 'recording_report']

# Metric, unit and label of what stands at the top, by task.
HEADLINES = {
    'segmentation': ('miou', '', 'mIoU of the masks'),
    'stereo_depth': ('epe_px', ' px', 'disparity error'),
    'mono_depth': ('abs_rel', '', 'Abs Rel of mono depth'),
    'optical_flow': ('epe_px', ' px', 'flow error'),
    'visual_odometry': ('end_error_percent', ' %', 'end error of odometry, of the path'),
}

Frames = Sequence[tuple[int, Mapping[str, Any]]]


def recording_report(
    title: str, scores: Scores, frames: Frames, images: Mapping[int, Image], *,
    milliseconds: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (), subtitle: str = '',
) -> Report:
    """Lay a report out.

    Parameters
    ----------
    scores : of the recorded topics.
    frames : (stamp, results by task) to be shown.
    images : the camera's image of these stamps.
    milliseconds : p50 and p99 of each call, by task.
    notes : what a reader must know: what was off, what was missing.
    """
    sections = [
        Section('Notes', [Text(note) for note in notes]),
        *(
            Section(f'Frame at {_seconds(stamp, frames)} s', _pictures(results, images.get(stamp),
                                                                       scores))
            for stamp, results in frames
        ),
        Section('Path', _path_plots(scores)),
        Section('Errors of single frames', _series_plots(scores),
                'Against the ground truth in the bag, by stamp.'),
        Section('Metrics', _metric_parts(scores)),
        Section('Uncertainty', _uncertainty_plots(scores),
                'How well each sigma and confidence tells where the errors are.'),
        Section('Results by themselves', _summary_parts(scores), 'Means over the frames.'),
        Section('Time', _timing_parts(milliseconds or {}), 'Of each call, milliseconds.'),
        Section('Topics', _topic_parts(scores)),
    ]
    return Report(
        title=title, subtitle=subtitle, headline=_headline(scores),
        sections=[section for section in sections if section.parts],
    )


def _headline(scores: Scores) -> list[tuple[str, str]]:
    figures = []
    for task, (metric, unit, label) in HEADLINES.items():
        value = scores.metrics.get(task, {}).get(metric)
        if value is not None and np.isfinite(value):
            figures.append((f'{format_number(value)}{unit}', label))
    return figures


def _seconds(stamp: int, frames: Frames) -> str:
    return f'{(stamp - frames[0][0]) / 1e9:.2f}'


def _pictures(
    results: Mapping[str, Any], image: Image | None, scores: Scores
) -> list[Part]:
    parts: list[Part] = []
    if image is not None:
        parts.append(Picture(image.data, 'camera'))
    mask = results.get('segmentation')
    if mask is not None:
        parts += _mask_pictures(mask, image, scores)
    for task, name in (('stereo_depth', 'stereo depth'), ('mono_depth', 'mono depth')):
        if task in results:
            parts += _depth_pictures(results[task], name)
    if 'optical_flow' in results:
        parts += _flow_pictures(results['optical_flow'])
    return parts


def _mask_pictures(
    mask: Segmentation, image: Image | None, scores: Scores
) -> list[Part]:
    palette = tuple(tuple(c) for c in scores.infos.get('segmentation', {}).get('palette', ()))
    under = image if image is not None and image.data.shape[:2] == mask.labels.shape else None
    base = under or Image(np.zeros(mask.labels.shape, np.uint8))
    opacity = 0.5 if under else 1.0
    pictures: list[Part] = [Picture(overlay(base, mask, palette, opacity), 'mask')]
    pictures.append(Picture(sigma_color(mask.entropy, 1.0), 'uncertainty of the mask, 0 to 1'))
    if mask.mutual_information is not None:
        top = float(np.nanmax(mask.mutual_information))
        pictures.append(
            Picture(sigma_color(mask.mutual_information), f'epistemic part, 0 to {top:.2g}')
        )
    return pictures


def _depth_pictures(depth: Depth, name: str) -> list[Part]:
    valid = depth.depth_m[np.isfinite(depth.depth_m)]
    low, high = np.percentile(valid, (2.0, 98.0)) if valid.size else (np.nan, np.nan)
    relative = depth.sigma_m / depth.depth_m
    return [
        Picture(
            depth_color(depth.depth_m), f'{name}, {low:.1f} m (red) to {high:.1f} m (blue)'
        ),
        Picture(sigma_color(relative, 0.5), f'sigma of {name} over depth, 0 to 50 %'),
    ]


def _flow_pictures(flow: Flow) -> list[Part]:
    length = np.linalg.norm(flow.flow_px, axis=-1)
    finite = length[np.isfinite(length)]
    longest = max(float(np.percentile(finite, 99.0)), 0.5) if finite.size else 1.0
    return [
        Picture(flow_color(flow.flow_px, longest), f'flow, full colour is {longest:.1f} px'),
        Picture(sigma_color(flow.sigma_px, 3.0), 'sigma of flow, 0 to 3 px'),
    ]


def _path_plots(scores: Scores) -> list[Plot]:
    if len(scores.poses) < 2:
        return []
    known = np.isfinite(scores.true_poses[:, 0, 0])
    paths = {'odometry': scores.poses[:, :3, 3]}
    if known.any():
        first = int(np.argmax(known))
        odom_from_truth = scores.poses[first] @ inverse(scores.true_poses[first])
        paths['truth'] = (odom_from_truth @ scores.true_poses[known])[:, :3, 3]
    return [trajectory(paths, 'Path from above, metres')]


def _series_plots(scores: Scores) -> list[Plot]:
    plots = []
    for task, (stamps, values) in scores.series.items():
        if len(stamps) > 1:
            seconds = (np.array(stamps) - stamps[0]) / 1e9
            name = scores.series_names[task]
            plots.append(lines(
                {_title(task): values}, f'{_title(task)}: {name}', x=seconds, x_label='s',
                y_label=name,
            ))
    return plots


def _metric_parts(scores: Scores) -> list[Part]:
    return [
        metrics_table({'value': metrics}, _title(task))
        for task, metrics in scores.metrics.items()
    ]


def _uncertainty_plots(scores: Scores) -> list[Plot]:
    plots: list[Plot] = []
    for task in ('segmentation', 'stereo_depth', 'mono_depth', 'optical_flow'):
        if task in scores.scored:
            for plot in SCORERS[task](Source([])).plots({'ours': scores.scored[task]}):
                plots.append(Plot(plot.svg, f'{_title(task)}: {plot.caption}', plot.wide))
    return plots


def _summary_parts(scores: Scores) -> list[Part]:
    return [
        Table(('', 'value'), list(values.items()), _title(task))
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
