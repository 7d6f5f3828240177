# SPDX-License-Identifier: Apache-2.0
"""perception evaluate: evaluate a task on a data set or a bag with ground truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perception_nodes.cli.json_file import require_writable, write_json
from perception_nodes.cli.option_types import THREADS
from perception_nodes.cli.parameters import parameter_option
from perception_nodes.cli.progress import Progress
from perception_nodes.errors import ConfigError
from perception_nodes.inference import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from perception_nodes.evaluation.evaluate import Evaluation
    from perception_nodes.evaluation.protocol import Protocol

__all__ = ['command']


class _Command(click.Command):
    """Names the data sets of every task at the end of its help; they are loaded for it alone."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        from perception_nodes.evaluation.scorers import SCORERS
        from perception_nodes.evaluation.sources import sources_of

        with formatter.section('Data sets by task'):
            formatter.write_dl([(task, ', '.join(sources_of(task))) for task in SCORERS])


@click.command('evaluate', cls=_Command, short_help='Evaluate a task on a data set.')
@click.argument('task')
@click.option('--dataset', required=True, help='Layout of the data, see below.')
@click.option(
    '--root', 'roots', required=True, multiple=True, type=click.Path(path_type=Path),
    help='Folder of the data, or a bag. Repeat it for several sequences and their mean.',
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
    help='Backend of the model.',
)
@click.option(
    '--precision', type=click.Choice(PRECISIONS), default='fp16', show_default=True,
    help='For TensorRT; ONNX Runtime and OpenVINO use fp32.',
)
@click.option('--threads', type=THREADS, default=0, show_default=True,
              help='For the CPU backends; 0 = number of cores.')
@parameter_option('the task (those of its node, see config/)')
@click.option('--baselines', '--peers', 'baselines', is_flag=True,
              help='Also evaluate the classical methods on the same frames.')
@click.option(
    '--protocol', type=click.Choice(('benchmark', 'node')), default='benchmark', show_default=True,
    help="benchmark: the task alone, on every pixel and frame. node: the node's parameters, "
    'fed by the other tasks as in perception_node and replay.',
)
@click.option(
    '--align', type=click.Choice(('none', 'origin', 'se3', 'sim3')), default='se3',
    show_default=True, help='Alignment of trajectories before ATE, as evo names it.',
)
@click.option('--align-first', type=click.IntRange(0), default=0, metavar='N',
              help='Fit the alignment over the first N poses; 0 = all.')
@click.option(
    '--trajectories', type=click.Path(file_okay=False, path_type=Path),
    help='Folder to write trajectories to, in TUM and KITTI format.',
)
def command(
    task: str, dataset: str, roots: tuple[Path, ...], json_path: Path | None,
    report_path: Path | None, split: str | None, model: str | None, backend: str,
    precision: str, threads: int, parameters: dict[str, str], baselines: bool, protocol: str,
    align: str, align_first: int, trajectories: Path | None,
) -> None:
    """Evaluate TASK on a data set: run every frame, score it, write the numbers.

    Fractions are 0..1; other units are part of a metric's name (px, m, percent). docs/metrics.md
    defines the metrics. Times are those of the pipeline call, without reading files.
    """
    from perception_nodes.evaluation.evaluate import baselines_of, evaluate
    from perception_nodes.evaluation.evaluation_report import evaluation_report
    from perception_nodes.evaluation.report import write_report
    from perception_nodes.evaluation.sequences import combined_result, sequence_names
    from perception_nodes.evaluation.trajectories import write_trajectories
    from perception_nodes.metrics.alignment import Alignment

    if task != 'visual_odometry' and (trajectories or align_first or align != 'se3'):
        raise ConfigError(f'{task} has no trajectory to align or to write')
    if report_path is not None and len(roots) > 1:
        raise ConfigError('--report shows one sequence: pass one --root')
    names = sequence_names(roots)
    require_writable(json_path, report_path, trajectories and trajectories / 'any')
    evaluations: dict[str, Evaluation] = {}
    for name, root in zip(names, roots, strict=True):
        with Progress() as progress:
            evaluations[name] = evaluation = evaluate(
                task, dataset, root, split=split, model=model, backend=backend,
                precision=precision, threads=threads, parameters=parameters, protocol=protocol,
                baselines=baselines_of(task) if baselines else (),
                alignment=Alignment(align, align_first) if task == 'visual_odometry' else None,
                details=bool(report_path), progress=progress,
            )
        for line in evaluation.notes:
            click.echo(line, err=True)
        if trajectories is not None:
            methods = (evaluation.ours, *evaluation.baselines)
            folder = trajectories / name if len(roots) > 1 else trajectories
            write_trajectories(folder, {method.name: method.metric for method in methods})
        if report_path is not None:
            write_report(report_path, evaluation_report(evaluation))
        click.echo(_screen(evaluation.result(), evaluation.protocol, name))
    result = evaluation.result() if len(roots) == 1 else combined_result(evaluations)
    write_json(json_path, result)
    if len(roots) > 1:
        click.echo(_screen(result, evaluation.protocol, f'mean of {len(roots)} sequences'))


def _screen(result: dict[str, Any], protocol: 'Protocol', name: str) -> str:
    """Lay the metrics of all methods out as aligned columns."""
    from perception_nodes.evaluation.report import format_number

    methods = {'ours': result['metrics'], **result['peers']}
    milliseconds = {f'ms_{name}': value for name, value in result['ms_per_frame'].items()}
    methods['ours'] = {**methods['ours'], **milliseconds}
    names = list(dict.fromkeys(name for metrics in methods.values() for name in metrics))
    width = max(12, *(len(method) + 2 for method in methods))
    split = f', {result["split"]}' if result['split'] else ''
    fed = f', fed by {", ".join(protocol.inputs)}' if protocol.inputs else ''
    aligned = f', ATE aligned by {protocol.alignment}' if protocol.alignment else ''
    lines = [
        f'{result["task"]} on {result["dataset"]}{split}, {name}: {result["frames"]} frames, '
        f'{result["model"]} on {result["backend"]}, protocol {protocol.name}{fed}{aligned}',
        f'{"":26}' + ''.join(f'{method:>{width}}' for method in methods),
    ]
    for name in names:
        values = (metrics.get(name, float('nan')) for metrics in methods.values())
        lines.append(f'{name:26}' + ''.join(f'{format_number(v):>{width}}' for v in values))
    return '\n'.join(lines)
