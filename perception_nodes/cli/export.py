# SPDX-License-Identifier: Apache-2.0
"""``perception export``: from a checkpoint to a released model, or to another precision of it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perception_nodes.inference.model_card import write_card
from perception_nodes.inference.models import model_path
from perception_nodes.types import PerceptionError

if TYPE_CHECKING:
    from perception_nodes.export.release import Release


@click.command('export', short_help='Write a trained model as ONNX with its card.')
@click.argument('name')
@click.option('--runs', type=click.Path(path_type=Path), default='runs', show_default=True,
              help='Folder of the trainings; those that NAME is compared with go into its card.')
@click.option('--checkpoint', type=click.Path(path_type=Path),
              help='File [RUNS/NAME/checkpoint.safetensors].')
@click.option('--data', type=click.Path(path_type=Path), default='../shared/data',
              envvar='PERCEPTION_DATA', show_default=True,
              help='Folder that holds the data sets: for calibration.')
@click.option('--out', type=click.Path(path_type=Path), default='models', show_default=True,
              help='Folder for NAME.onnx and NAME.json.')
@click.option('--precision', type=click.Choice(('fp32', 'fp16', 'int8')), default='fp32',
              show_default=True,
              help='fp16, int8: NAME_fp16.onnx, NAME_int8.onnx from NAME.onnx; needs no torch.')
@click.option('--calibration', type=click.Path(path_type=Path),
              help='Bag or folder of images of your own camera that int8 measures on.')
def command(
    name: str, runs: Path, checkpoint: Path | None, data: Path, out: Path, precision: str,
    calibration: Path | None,
) -> None:
    """Write NAME.onnx and its card; refuse if ONNX Runtime and torch differ."""
    if precision != 'fp32':
        from perception_nodes.export.precision import export_precision

        path = export_precision(model_path(name), precision, out, calibration)
        click.echo(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
        return
    from perception_nodes.export.comparison import comparison_results
    from perception_nodes.export.onnx_export import export_release
    from perception_nodes.export.releases import RELEASES
    from perception_nodes.training.checkpoint import FILE_NAME
    from perception_nodes.training.recipes import RECIPES

    if name not in RELEASES:
        raise PerceptionError(f'no released model {name}; there are: {", ".join(RELEASES)}')
    release = RELEASES[name]
    steps = {other: RECIPES[other].steps for other in release.compared_with}
    compared = comparison_results(steps, runs)
    checkpoint = checkpoint or runs / name / FILE_NAME
    card = export_release(release, RECIPES[name], checkpoint, data, out)
    for evaluated, metrics in (measure(release, data, out / f'{name}.onnx') | compared).items():
        card = replace(card, results={**card.results, evaluated: metrics})
        write_card(card, out / f'{name}.json')
        click.echo(f'{evaluated}: ' + ', '.join(f'{key} {v:.4g}' for key, v in metrics.items()))
    click.echo(f'{out / name}.onnx: {card.parameters} parameters, sha256 {card.sha256[:12]}, '
               f'torch = ONNX within {card.training["parity_with_torch"]:.1e}')


def measure(release: 'Release', data: Path, model: Path) -> dict[str, dict[str, float]]:
    """Evaluate a model on those of its data sets that are there: data set and split -> metrics."""
    from perception_nodes.evaluation.evaluate import evaluate

    results = {}
    for dataset, folder, split in release.evaluated_on:
        name = ' '.join(part for part in (dataset, split) if part)
        if not (data / folder).is_dir():
            click.echo(f'{name}: not measured, {data / folder} is missing')
            continue
        evaluated = evaluate(
            release.task, dataset, data / folder, split=split, model=model,
            backend='onnxruntime', precision='fp32', threads=1,
        )
        results[name] = {key: round(value, 4) for key, value in evaluated.ours.metrics.items()}
    return results
