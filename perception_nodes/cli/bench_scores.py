# SPDX-License-Identifier: Apache-2.0
"""The change of the task's metric with the backend: the second half of ``perception bench``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from perception_nodes.evaluation.evaluate import evaluate
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.evaluation.speed import SpeedCase
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig

# Odometry tracks corners without a network by default: here its network is evaluated.
CONFIGS = {'visual_odometry': VisualOdometryConfig(front_end='learned')}


@dataclass(frozen=True)
class DataSet:
    """A data set that scores a task: its name, folder and split (None = the only one)."""

    dataset: str
    root: Path
    split: str | None = None


def usual_data_set(task: str, data: Path) -> DataSet | None:
    """Where a task is scored when only the folder of all data sets is named; None: nowhere."""
    usual = {
        'segmentation': ('camvid', 'camvid', 'val'),
        'stereo_depth': ('kitti_stereo', 'kitti_stereo_2015', None),
        'mono_depth': ('kitti_depth', 'kitti_depth', None),
        'optical_flow': ('middlebury_flow', 'middlebury_flow', None),
        'place_recognition': ('loop_matrix', 'rtabmap_corridor', None),
    }.get(task)
    return None if usual is None else DataSet(usual[0], data / usual[1], usual[2])


def score_all(
    task: str, cases: Sequence[SpeedCase], rows: Sequence[dict[str, Any]], data_set: DataSet,
    threads: int,
) -> None:
    """Evaluate every model case on a data set; its metrics go into its row."""
    name = SCORERS[task].headlines[0]
    click.echo(f'  {name} on {data_set.dataset}, and its change from fp32 ONNX Runtime')
    first: float | None = None
    for case, row in zip(cases, rows, strict=True):
        if case.kind != 'model' or case.samples > 1 or 'not_run' in row:
            continue
        row['metrics'] = evaluate(
            task, data_set.dataset, data_set.root, split=data_set.split, model=case.model,
            backend=case.backend, precision=case.precision, threads=threads,
            config=CONFIGS.get(task),
        ).result()['metrics']
        value = row['metrics'][name]
        first = value if first is None else first
        change = (value / first - 1) * 100 if first else 0.0
        row['metric_change_percent'] = round(change, 4)
        click.echo(f'  {case.name:<28} {row["backend"]:<28} {value:8.4f}  {change:+.2f} %')
