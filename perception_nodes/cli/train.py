# SPDX-License-Identifier: Apache-2.0
"""``perception train``: make a model from data."""

import re
from dataclasses import replace
from pathlib import Path

import click

from perception_nodes.cli.data_folder import data_option, require_data
from perception_nodes.cli.json_file import require_writable
from perception_nodes.cli.option_types import THREADS, FiniteFloat
from perception_nodes.cli.progress import Progress
from perception_nodes.errors import ConfigError

BAR_STEPS = 1000


@click.command('train', short_help='Train a released model.')
@click.argument('recipe')
@data_option('to train on')
@click.option('--out', type=click.Path(path_type=Path), help='Folder of the run [runs/RECIPE].')
@click.option('--minutes', type=FiniteFloat(0, 1e6, min_open=True),
              help="Wall-clock budget [the recipe's].")
@click.option('--resume', is_flag=True, help='Continue from the checkpoint in the folder.')
@click.option('--warm-start', type=click.Path(path_type=Path),
              help='Checkpoint or released NAME.onnx to start from.')
@click.option('--threads', type=THREADS, default=0, help='CPU threads, 0: all.')
@click.option('--device', default='cpu', show_default=True, help='cpu or cuda.')
def command(
    recipe: str, data: Path | None, out: Path | None, minutes: float | None, resume: bool,
    warm_start: Path | None, threads: int, device: str,
) -> None:
    """Train RECIPE; checkpoint and log.jsonl are written to the run's folder."""
    import cv2
    import torch

    from perception_nodes.training.checkpoint import FILE_NAME
    from perception_nodes.training.loop import train
    from perception_nodes.training.recipes import RECIPES

    if recipe not in RECIPES:
        raise ConfigError(f'no recipe {recipe}; there are: {", ".join(sorted(RECIPES))}')
    if not re.fullmatch('cpu|cuda(:[0-9])?', device):
        raise ConfigError(f'--device is cpu, cuda or cuda:1, not {device!r}')
    if device != 'cpu' and int(device.partition(':')[2] or 0) >= torch.cuda.device_count():
        raise ConfigError(f'--device {device}: torch finds no such GPU here')
    folder, out = require_data(data), out or Path('runs') / recipe
    require_writable(out / FILE_NAME)
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    chosen = RECIPES[recipe]
    if minutes is not None:
        chosen = replace(chosen, minutes=minutes, steps=None)
    with Progress() as bar:
        metrics = train(
            chosen, folder, out, resume=resume, warm_start=warm_start, device=device,
            progress=lambda share, _: bar(recipe, int(share * BAR_STEPS), BAR_STEPS),
        )
        bar(recipe, BAR_STEPS, BAR_STEPS)
    for name, value in metrics.items():
        click.echo(f'{name} {value:.4f}')
