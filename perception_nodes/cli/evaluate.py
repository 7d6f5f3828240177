# SPDX-License-Identifier: Apache-2.0
"""perception evaluate: evaluate a task on a data set or a bag with ground truth."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from perception_nodes.cli.parameters import parameter_option
from perception_nodes.files import write_atomically
from perception_nodes.inference import BACKENDS, PRECISIONS
from perception_nodes.types import PerceptionError

__all__ = ['command']

TASKS = (
    'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'visual_odometry',
    'place_recognition',
)  # fmt: skip
DATASETS = (
    'camvid', 'kitti_stereo', 'middlebury_stereo', 'middlebury_flow', 'kitti_flow', 'kitti_depth',
    'kitti_drive', 'kitti_road', 'kitti_semantic', 'idd_lite', 'hololens_office', 'seven_scenes',
    'loop_matrix', 'bag',
)  # fmt: skip


@click.command('evaluate', short_help='Evaluate a task on a data set.')
@click.argument('task', type=click.Choice(TASKS), metavar='TASK')
@click.option('--dataset', required=True, type=click.Choice(DATASETS), help='Layout of the data.')
@click.option(
    '--root', required=True, type=click.Path(path_type=Path), help='Folder of the data, or a bag.'
)
@click.option(
    '--json', 'json_path', type=click.Path(dir_okay=False, path_type=Path),
    help='Write the result here.',
)
@click.option(
    '--report', 'report_path', type=click.Path(dir_okay=False, path_type=Path),
    help='Write an HTML report with plots and images here.',
)
@click.option(
    '--split', help='train, val or test of data sets that have splits.  [default: val of camvid]'
)
@click.option('--model', help="Released name or path of an ONNX file.  [default: the task's own]")
@click.option(
    '--backend', type=click.Choice(BACKENDS), default='auto', show_default=True,
    help='What runs the model.',
)
@click.option(
    '--precision', type=click.Choice(PRECISIONS), default='fp16', show_default=True,
    help='Of TensorRT; ONNX Runtime and OpenVINO use fp32.',
)
@click.option('--threads', type=click.IntRange(0), default=0, show_default=True,
              help='Of the CPU backends; 0 = as many as there are cores.')
@parameter_option('the task (those of its node, see config/)')
@click.option('--baselines', '--peers', 'baselines', is_flag=True,
              help='Score the classical methods on the same frames, too.')
def command(
    task: str, dataset: str, root: Path, json_path: Path | None, report_path: Path | None,
    split: str | None, model: str | None, backend: str, precision: str, threads: int,
    parameters: dict[str, str], baselines: bool,
) -> None:
    """Evaluate TASK on a data set: predict every frame, score it, write the numbers.

    TASK is segmentation, stereo_depth, mono_depth, optical_flow, visual_odometry or
    place_recognition.

    Fractions are 0..1; names of metrics say other units (px, m, percent). Times are those of the
    pipeline's call in milliseconds, reading of files not included.
    """  # fmt: skip
    from perception_nodes.evaluation.evaluate import baselines_of, evaluate
    from perception_nodes.evaluation.evaluation_report import evaluation_report
    from perception_nodes.evaluation.report import write_report

    for path in (json_path, report_path):
        if path is not None:
            _require_writable(path)
    with ExitStack() as stack:
        evaluation = evaluate(
            task, dataset, root, split=split, model=model, backend=backend, precision=precision,
            threads=threads, parameters=parameters,
            baselines=baselines_of(task) if baselines else (),
            details=bool(report_path), progress=_Bars(stack),
        )
    result = evaluation.result()
    if json_path is not None:
        write_atomically(json_path, (json.dumps(result, indent=2) + '\n').encode())
    if report_path is not None:
        write_report(report_path, evaluation_report(evaluation))
    click.echo(_screen(result))


def _require_writable(path: Path) -> None:
    """Find out before the work, not after it, that the result could not be written."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise PerceptionError(f'cannot write {path}: {folder} is not a folder that can be written')


class _Bars:
    """One progress bar a method, on stderr."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bars: dict[str, Any] = {}

    def __call__(self, method: str, done: int, total: int) -> None:
        if method not in self._bars:
            bar = click.progressbar(length=total, label=f'{method:>16}', file=sys.stderr)
            self._bars[method] = self._stack.enter_context(bar)
        self._bars[method].update(done - self._bars[method].pos)


def _screen(result: dict[str, Any]) -> str:
    """Lay the metrics of all methods out as aligned columns."""
    from perception_nodes.evaluation.report import format_number

    methods = {'ours': result['metrics'], **result['peers']}
    milliseconds = {f'ms_{name}': value for name, value in result['ms_per_frame'].items()}
    methods['ours'] = {**methods['ours'], **milliseconds}
    names = list(dict.fromkeys(name for metrics in methods.values() for name in metrics))
    width = max(12, *(len(method) + 2 for method in methods))
    split = f', {result["split"]}' if result['split'] else ''
    lines = [
        f'{result["task"]} on {result["dataset"]}{split}: {result["frames"]} frames, '
        f'{result["model"]} on {result["backend"]}',
        f'{"":26}' + ''.join(f'{method:>{width}}' for method in methods),
    ]
    for name in names:
        values = (metrics.get(name, float('nan')) for metrics in methods.values())
        lines.append(f'{name:26}' + ''.join(f'{format_number(v):>{width}}' for v in values))
    return '\n'.join(lines)
