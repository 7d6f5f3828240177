# SPDX-License-Identifier: Apache-2.0
"""``perception bench``: speed and agreement of backends, and classical baselines."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

from perception_nodes.cli.bench_scores import DataSet, score_all, usual_data_set
from perception_nodes.cli.json_file import require_writable, write_json
from perception_nodes.cli.option_types import THREADS, ImageSize, count
from perception_nodes.cli.progress import Progress
from perception_nodes.evaluation.baselines import BASELINES
from perception_nodes.evaluation.model_inputs import InputFrame, read_input_frames
from perception_nodes.evaluation.speed import SpeedCase, SpeedResult, differences, measure, steps
from perception_nodes.files.atomic import temporary_folder
from perception_nodes.inference import BACKENDS, PRECISIONS
from perception_nodes.inference.model_card import check_model
from perception_nodes.inference.models import list_models, model_path
from perception_nodes.pipelines.tasks import TASKS, find_task
from perception_nodes.simulation.layers import random_stereo_pair
from perception_nodes.types import ConfigError, PerceptionError

FRAMES = 8
STEP_PX = 6
BAYESIAN_SAMPLES = 8
NETWORK_BASELINES = {'segmentation': ('segnet',)}


@click.command('bench', short_help='Measure latency, throughput, memory and accuracy.')
@click.argument('tasks', nargs=-1, required=True)
@click.option('--backends', default='onnxruntime', show_default=True,
              help='Comma-separated: backend or backend:precision, such as openvino or '
              'tensorrt:fp16.')
@click.option('--baselines', '--peers', 'baselines', is_flag=True,
              help='Also measure classical methods (and SegNet).')
@click.option('--model', 'models', multiple=True,
              help='Also measure the pipeline with this model, such as sgbm (one task).')
@click.option('--size', type=ImageSize(), default='640x480', show_default=True,
              help="Camera's image size, pixels.")
@click.option('--threads', type=THREADS, default=1, show_default=True,
              help='CPU threads of a method; 0 = the default of nodes.')
@click.option('--calls', type=count(2, 10**6), default=30, show_default=True,
              help='Measured calls of each, after three to warm up.')
@click.option('--input', 'source', type=click.Path(path_type=Path),
              help='Bag or folder of images to run on [rendered layers].')
@click.option('--dataset', help='Also evaluate each backend on this data set (one task).')
@click.option('--root', type=click.Path(path_type=Path), help='Folder of the data set, or a bag.')
@click.option('--data', type=click.Path(path_type=Path),
              help='Folder of all data sets: also evaluate each task on its default one.')
@click.option('--split', help='train, val or test, where the data set has splits.')
@click.option('--json', 'json_path', type=click.Path(dir_okay=False, path_type=Path),
              help='Write the table here.')
def command(
    tasks: tuple[str, ...], backends: str, baselines: bool, models: tuple[str, ...],
    size: tuple[int, int], threads: int, calls: int, source: Path | None, dataset: str | None,
    root: Path | None, data: Path | None, split: str | None, json_path: Path | None,
) -> None:
    """Measure TASKS (or 'all'): latency, throughput, memory, difference from fp32 ONNX Runtime.

    Every case runs in its own process; the cases alternate for five rounds.
    """
    if (dataset is None) != (root is None) or (dataset and (len(tasks) > 1 or data)):
        raise ConfigError('pass --dataset and --root together, for one task; or --data')
    if models and len(wanted_tasks(tasks)) > 1:
        raise ConfigError('pass --model for one task only')
    require_writable(json_path)
    frames = take_frames(source, size)
    table: list[dict[str, Any]] = []
    with temporary_folder('perception-bench') as folder:
        for task in wanted_tasks(tasks):
            cases = list(task_cases(task, parse_backends(backends), threads))
            cases += [
                SpeedCase('pipeline', task, f'{model} pipeline', model, threads=threads)
                for model in models
            ]
            if baselines:
                cases += baseline_cases(task, threads, frames[0], folder)
            rows = measure_all(task, cases, frames, calls)
            data_set = None if data is None else usual_data_set(task, data)
            if dataset is not None and root is not None:
                data_set = DataSet(dataset, root, split)
            if data is not None and data_set is None:
                click.echo('  not evaluated: pass --dataset and --root')
            elif data_set is not None and not data_set.root.exists():
                click.echo(f'  not evaluated: {data_set.root} is missing')
            elif data_set is not None:
                score_all(task, cases, rows, data_set, threads)
            table += rows
    write_json(json_path, {'size': size, 'threads': threads, 'calls': calls, 'rows': table})


def wanted_tasks(tasks: Sequence[str]) -> list[str]:
    """Task names; 'all' is every task whose model is here."""
    named = [find_task(task).name for task in tasks if task != 'all']
    if len(named) == len(tasks):
        return named
    found = list_models()
    return [name for name, task in TASKS.items() if task.model in found]


def parse_backends(text: str) -> list[tuple[str, str]]:
    """Pairs (backend, precision) of the option."""
    pairs = []
    for entry in text.split(','):
        backend, _, precision = entry.strip().partition(':')
        precision = precision or ('fp16' if backend.startswith('tensorrt') else 'fp32')
        if backend not in BACKENDS or precision not in PRECISIONS:
            raise ConfigError(
                f'--backends {entry!r}: backend is one of {", ".join(BACKENDS)}, '
                f'precision one of {", ".join(PRECISIONS)}'
            )
        pairs.append((backend, precision))
    return pairs


def task_cases(
    task: str, backends: Iterable[tuple[str, str]], threads: int
) -> Iterator[SpeedCase]:
    """The model on fp32 ONNX Runtime (what all are compared with), on each backend, the pipeline.

    A model with dropout masks is measured with eight rows as well.
    """
    released = TASKS[task].model
    if not released:
        raise ConfigError(f'{task} has no model to measure')
    path = model_path(released)
    reference = ('onnxruntime', 'fp32')
    for backend, precision in dict.fromkeys([reference, *backends]):
        runs_file = not backend.startswith('tensorrt') and precision != 'fp32'
        file = path.with_name(f'{path.stem}_{precision}.onnx') if runs_file else path
        yield SpeedCase('model', task, f'{file.stem}', str(file), backend, precision, threads)
    card = check_model(path)
    if any(spec.name == 'dropout_masks' for spec in card.inputs):
        yield SpeedCase('model', task, f'{path.stem} T={BAYESIAN_SAMPLES}', str(path),
                        threads=threads, samples=BAYESIAN_SAMPLES)
    yield SpeedCase('pipeline', task, f'{task} pipeline', threads=threads)


def baseline_cases(
    task: str, threads: int, frame: InputFrame, folder: Path
) -> Iterator[SpeedCase]:
    """Classical methods of the task, and networks as published where torch is installed."""
    for name in BASELINES.get(task, {}):
        yield SpeedCase('baseline', task, name, threads=threads)
    for name in NETWORK_BASELINES.get(task, ()):
        try:
            from perception_nodes.export.published import export_published
        except ImportError:
            click.echo(f'  {name}: left out, it needs torch')
            continue
        height, width = frame.left.shape[:2]
        path = export_published(name, width, height, folder)
        yield SpeedCase('network', task, path.stem, str(path), threads=threads)


def measure_all(
    task: str, cases: Sequence[SpeedCase], frames: Sequence[InputFrame], calls: int
) -> list[dict[str, Any]]:
    """Measure side by side and print a line each; a case that cannot run states the reason."""
    height, width = frames[0].left.shape[:2]
    click.echo(f'{task}, images {width}x{height}')
    with Progress() as bar:
        done, total = iter(range(1, steps(len(cases)) + 1)), steps(len(cases))
        results = measure(cases, frames, calls, lambda: bar(f'  {task}', next(done), total))
    click.echo(f'  {"what":<28} {"backend":<28} {"p50 ms":>8} {"p99 ms":>8} {"per s":>7} '
               f'{"MB":>6} {"load s":>7}  mean (largest) difference')
    rows: list[dict[str, Any]] = []
    reference: SpeedResult | None = None
    for case, result in zip(cases, results, strict=True):
        if isinstance(result, PerceptionError):
            click.echo(f'  {case.name:<28} {case.backend:<28} not run: {result}')
            rows.append({'task': task, 'name': case.name, 'backend': case.backend,
                         'not_run': str(result)})
            continue
        reference = reference or result
        gaps = {} if case.kind != 'model' or case.samples > 1 else differences(reference, result)
        rows.append(_row(result, gaps))
        shown = ', '.join(f'{name} {mean:.1g} ({largest:.1g})'
                          for name, (mean, largest) in gaps.items() if largest)
        click.echo(
            f'  {case.name:<28} {result.backend:<28} {result.p50_ms:8.1f} {result.p99_ms:8.1f} '
            f'{result.per_second:7.1f} {result.memory_mb:6.0f} {result.load_s:7.1f}  {shown}'
        )
    return rows


def take_frames(source: Path | None, size: tuple[int, int]) -> list[InputFrame]:
    """Eight frames of the size: of a bag or folder, or a window moving over rendered layers."""
    width, height = size
    if source is not None:
        frames = [frame.resized(width, height)
                  for frame in islice(read_input_frames(source), FRAMES)]
        if len(frames) < 2:
            raise PerceptionError(f'{source} holds {len(frames)} frames, two are needed')
        return frames
    pair = random_stereo_pair(np.random.default_rng(0), height, width + FRAMES * STEP_PX)
    windows = [slice(index * STEP_PX, index * STEP_PX + width) for index in range(FRAMES)]
    return [InputFrame(pair.left[:, window], pair.right[:, window], float(width))
            for window in windows]


def _row(result: SpeedResult, gaps: dict[str, tuple[float, float]]) -> dict[str, Any]:
    case = result.case
    return {
        'task': case.task, 'kind': case.kind, 'name': case.name, 'backend': result.backend,
        'precision': case.precision, 'samples': case.samples,
        'p50_ms': round(result.p50_ms, 3), 'p99_ms': round(result.p99_ms, 3),
        'per_second': round(result.per_second, 2), 'memory_mb': round(result.memory_mb, 1),
        'load_s': round(result.load_s, 2), 'difference': {name: {'mean': mean, 'largest': largest}
                       for name, (mean, largest) in gaps.items()},
    }
