# SPDX-License-Identifier: Apache-2.0
"""``perception train``: make a model from data."""

from dataclasses import replace
from pathlib import Path

import click


@click.command('train', short_help='Train a released model.')
@click.argument('recipe')
@click.option('--data', type=click.Path(path_type=Path), default='../shared/data',
              envvar='PERCEPTION_DATA', show_default=True, help='Folder that holds the data sets.')
@click.option('--out', type=click.Path(path_type=Path), help='Folder of the run [runs/RECIPE].')
@click.option('--minutes', type=float, help="Wall-clock budget [the recipe's].")
@click.option('--resume', is_flag=True, help='Go on from the checkpoint in the folder.')
@click.option('--warm-start', type=click.Path(path_type=Path),
              help='Checkpoint or released NAME.onnx to begin with.')
@click.option('--threads', type=int, default=0, help='CPU threads, 0: all.')
@click.option('--device', default='cpu', show_default=True, help='cpu or cuda.')
def command(
    recipe: str, data: Path, out: Path | None, minutes: float | None, resume: bool,
    warm_start: Path | None, threads: int, device: str,
) -> None:
    """Train RECIPE; the checkpoint and log.jsonl land in the folder of the run."""
    import cv2
    import torch

    from perception_nodes.training.loop import train
    from perception_nodes.training.recipes import RECIPES
    from perception_nodes.types import PerceptionError

    if recipe not in RECIPES:
        raise PerceptionError(f'no recipe {recipe}; there are: {", ".join(sorted(RECIPES))}')
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    chosen = RECIPES[recipe]
    if minutes is not None:
        chosen = replace(chosen, minutes=minutes, steps=None)
    out = out or Path('runs') / recipe
    out.mkdir(parents=True, exist_ok=True)
    with click.progressbar(length=1000, label=recipe) as bar:
        metrics = train(
            chosen, data, out, resume=resume, warm_start=warm_start, device=device,
            progress=lambda share, _: bar.update(int(share * 1000) - bar.pos),
        )
        bar.update(1000 - bar.pos)
    for name, value in metrics.items():
        click.echo(f'{name} {value:.4f}')
