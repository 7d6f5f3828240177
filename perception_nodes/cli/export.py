# SPDX-License-Identifier: Apache-2.0
"""``perception export``: from a checkpoint to a released model, or to another precision of it."""

from pathlib import Path

import click

from perception_nodes.cli.data_folder import data_option, require_data


@click.command('export', short_help='Write a trained model as ONNX with its card.')
@click.argument('name')
@click.option('--runs', type=click.Path(path_type=Path), default='runs', show_default=True,
              help='Folder of the trainings; those that NAME is compared with go into its card.')
@click.option('--checkpoint', type=click.Path(path_type=Path),
              help='File [RUNS/NAME/checkpoint.safetensors].')
@data_option('to calibrate and measure on')
@click.option('--out', type=click.Path(path_type=Path), default='models', show_default=True,
              help='Folder for NAME.onnx and NAME.json.')
@click.option('--precision', type=click.Choice(('fp32', 'fp16', 'int8')), default='fp32',
              show_default=True,
              help='fp16, int8: NAME_fp16.onnx, NAME_int8.onnx from NAME.onnx; needs no torch.')
@click.option('--calibration', type=click.Path(path_type=Path),
              help='Bag or folder of images of your own camera that int8 measures on.')
@click.option('--pixels', type=click.IntRange(4096, 1 << 24),
              help='NAME_250k.onnx from NAME.onnx: stereo or flow at another area inside; finer '
              'and slower the larger it is; needs no torch.')
def command(
    name: str, runs: Path, checkpoint: Path | None, data: Path | None, out: Path, precision: str,
    calibration: Path | None, pixels: int | None,
) -> None:
    """Write NAME.onnx and its card; refuse if ONNX Runtime and torch differ."""
    from perception_nodes.types import ConfigError

    if pixels is not None:
        from perception_nodes.export.resolution import export_resolution
        from perception_nodes.inference.models import model_path

        if precision != 'fp32':
            raise ConfigError('--pixels or --precision: make the one from the file of the other')
        path = export_resolution(model_path(name), pixels, out)
        click.echo(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
        return
    if precision != 'fp32':
        from perception_nodes.export.precision import export_precision
        from perception_nodes.inference.models import model_path

        path = export_precision(model_path(name), precision, out, calibration)
        click.echo(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
        return
    from perception_nodes.export.measurement import measure_release
    from perception_nodes.export.onnx_export import export_release
    from perception_nodes.export.releases import RELEASES
    from perception_nodes.training.checkpoint import FILE_NAME
    from perception_nodes.training.recipes import RECIPES

    if name not in RELEASES:
        raise ConfigError(f'no released model {name}; there are: {", ".join(RELEASES)}')
    release, folder = RELEASES[name], require_data(data)
    card = export_release(
        release, RECIPES[name], checkpoint or runs / name / FILE_NAME, folder, out,
        lambda model: measure_release(release, model, folder, runs, click.echo),
    )
    click.echo(f'{out / name}.onnx: {card.parameters} parameters, sha256 {card.sha256[:12]}, '
               f'torch = ONNX within {card.training["parity_with_torch"]:.1e}')
