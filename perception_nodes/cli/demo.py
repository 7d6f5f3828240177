# SPDX-License-Identifier: Apache-2.0
"""perception demo: a rendered sequence played over DDS to all nodes, evaluated and shown."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perception_nodes.cli.option_types import SEED, FiniteFloat, count
from perception_nodes.cli.progress import Progress

if TYPE_CHECKING:
    from perception_nodes.bags.cameras import StereoTopics

__all__ = ['command']

@click.command('demo', short_help='Run all nodes live on a rendered sequence.')
@click.option(
    '--out', default='demo', show_default=True, type=click.Path(path_type=Path),
    help='Folder to write: drive/ and outputs/ (rosbag2), logs/, metrics.json, report.html.',
)
@click.option(
    '--bag', type=click.Path(exists=True, path_type=Path),
    help='Play this stereo rosbag2 instead of rendering a sequence.',
)
@click.option(
    '--frames', type=count(2, 10_000), default=40, show_default=True,
    help='Stereo pairs of the rendered sequence, at 10 Hz.',
)
@click.option('--seed', type=SEED, default=11, show_default=True, help='Which street is rendered.')
@click.option(
    '--rate', type=FiniteFloat(0, 1e3, min_open=True), default=0.25, show_default=True,
    help='Playback rate; 1 is the rate of the recording. Nodes that are slower than the '
    'camera skip frames.',
)
@click.option('--overwrite', is_flag=True, help='Replace the folder if it holds something.')
@click.option('--show/--no-show', default=True, help='Open the report in the browser.')
def command(
    out: Path, bag: Path | None, frames: int, seed: int, rate: float, overwrite: bool, show: bool
) -> None:
    """Run all nodes live on a sequence with ground truth, and evaluate them.

    Renders a short stereo sequence as a rosbag2, starts all nodes as ROS 2 processes, plays the
    bag to them, records and evaluates their results, and writes a report with images of every
    output. About a minute on two cores.
    """
    from perception_nodes.cli.demo_drive import rendered_drive, require_ros
    from perception_nodes.evaluation.replay.whole_folder import whole_folder

    require_ros()
    with whole_folder(out, overwrite=overwrite) as folder:
        if bag is None:
            with Progress() as progress:
                bag = rendered_drive(
                    folder / 'drive', frames, seed, partial(progress, '1/4 rendering a sequence')
                )
        else:
            click.echo(f'1/4 taking {bag}', err=True)
        cameras = _live(bag, folder, rate)
        click.echo('4/4 scoring and drawing', err=True)
        lines = _report(bag, folder, cameras)
    click.echo('\n'.join(lines))
    report = (out / 'report.html').resolve()
    click.echo(f'report: {report}')
    if show and sys.stdout.isatty():
        webbrowser.open(report.as_uri())


def _live(bag: Path, folder: Path, rate: float) -> StereoTopics:
    """Start the nodes, play the bag and record their topics; return the bag's cameras."""
    from perception_nodes.cli.demo_drive import live_nodes, play_and_record

    click.echo('2/4 starting all nodes', err=True)
    with live_nodes(bag, folder / 'logs') as cameras, Progress() as progress:
        play_and_record(
            bag, folder / 'outputs', cameras, rate, partial(progress, '3/4 playing to them')
        )
    return cameras


def _report(bag: Path, folder: Path, cameras: StereoTopics) -> list[str]:
    """Write metrics.json and report.html; lines for the screen."""
    from perception_nodes.bags.reader import open_bag
    from perception_nodes.evaluation.recordings import (
        SampledFrames,
        images_at,
        recording_report,
        score_outputs,
        truth_at,
    )
    from perception_nodes.evaluation.recordings.recording_report import headline_figures
    from perception_nodes.evaluation.report import write_report
    from perception_nodes.files.atomic import write_atomically
    from perception_nodes.files.documents import to_json

    kept = SampledFrames(3)
    scores = score_outputs(folder / 'outputs', bag, keep=kept.keep)
    frames = kept.frames()
    stamps = [stamp for stamp, _ in frames]
    with open_bag(bag) as reader:
        total = reader.topics()[cameras.left.image].count
    write_report(folder / 'report.html', recording_report(
        'All nodes on a sequence', scores, frames, images_at(bag, stamps),
        subtitle='Live over ROS 2; evaluated against the ground truth in the bag.',
        truths=truth_at(bag, stamps, scores.tasks), notes=_left_out(scores.summary, total),
    ))
    protocol = {'name': 'node', 'predictions': 'topics'}
    figures = {'messages': scores.messages, 'metrics': scores.metrics, 'protocol': protocol}
    write_atomically(folder / 'metrics.json', to_json(figures, indent=1).encode())
    lines = [f'  {topic:44}{count:>7}' for topic, count in sorted(scores.messages.items())]
    return lines + [f'  {label:44}{figure:>7}' for figure, label in headline_figures(scores)]


def _left_out(summary: Mapping[str, Mapping[str, float]], total: int) -> list[str]:
    """Say which nodes left frames out, as they do when a newer one is there already."""
    fewer = [
        f'{task.replace("_", " ")} {int(values["frames"])}'
        for task, values in summary.items()
        # The first image has no flow.
        if values['frames'] < total - (task == 'optical_flow')
    ]
    if not fewer:
        return []
    return [
        f'This machine was not quick enough for all {total} frames: {", ".join(fewer)} were '
        'answered, always the newest. Play slower with --rate, or on a quiet machine.'
    ]
