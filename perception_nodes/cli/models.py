# SPDX-License-Identifier: Apache-2.0
"""``perception models``: which models are here, whether they are intact, and their results."""

import dataclasses
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from perception_nodes.files.documents import to_json
from perception_nodes.inference.classical import CLASSICAL
from perception_nodes.inference.model_card import ModelCard, TensorSpec, check_model
from perception_nodes.inference.models import list_models, model_folders, model_path
from perception_nodes.types import PerceptionError

WIDTH = 99
_FIXED = '\N{NO-BREAK SPACE}'  # a number stays on the line of its name


@click.command('models', short_help='List the models and show their cards.')
@click.argument('names', nargs=-1)
@click.option('--json', 'as_json', is_flag=True, help='Print the cards as JSON.')
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the models, or show the cards of NAMES (released names or .onnx files).

    Each file is checked against its card; status 2 if one does not match.
    """
    classical = {
        name: make().card for name, make in CLASSICAL.items() if name in names or not names
    }
    paths = {name: model_path(name) for name in names if name not in CLASSICAL}
    paths = paths if names else list_models()
    if not paths and not names:
        folders = ', '.join(str(folder) for folder in model_folders()) or 'none exists'
        raise PerceptionError(f'no models found (folders searched: {folders})')
    cards: dict[str, ModelCard] = {}
    broken: list[str] = []
    for name, path in paths.items():
        try:
            cards[name] = check_model(path)
        except PerceptionError as error:
            broken.append(str(error))
    cards |= classical
    if as_json:
        click.echo(to_json(
            {name: _entry(card, paths.get(name)) for name, card in cards.items()}, indent=1
        ))
    else:
        for name, card in cards.items():
            file = paths.get(name)
            click.echo(_page(card, file) if names else _line(name, card, file))
    if broken:
        raise PerceptionError('; '.join(broken))


def _entry(card: ModelCard, path: Path | None) -> dict[str, Any]:
    return {'path': str(path or ''), **dataclasses.asdict(card)}


def _line(name: str, card: ModelCard, path: Path | None) -> str:
    if path is None:
        return f'{name:<20} {card.task:<18} OpenCV, no model file                   {card.summary}'
    megabytes = path.stat().st_size / 1e6
    return (
        f'{name:<20} {card.task:<18} {card.precision:<5} {card.parameters / 1e6:6.2f} M  '
        f'{megabytes:5.1f} MB  {card.sha256[:12]}  {card.summary}'
    )


def _page(card: ModelCard, path: Path | None) -> str:
    file = [
        f'  file         {path}',
        f'  sha256       {card.sha256}',
        f'  network      {card.network or "unknown"}, {card.parameters} parameters, '
        f'{card.precision}, at most {card.network_pixels or "all"} pixels inside',
    ]
    lines = [
        f'{card.name}: {card.summary}',
        f'  task         {card.task}',
        *(file if path is not None else ['  file         none: OpenCV']),
        f'  licence      {card.licence}'
        + (', training data forbids commercial use' if card.non_commercial else ''),
        *(f'  input        {_tensor(spec)}' for spec in card.inputs),
        *(f'  output       {_tensor(spec)}' for spec in card.outputs),
    ]
    if card.classes:
        lines.append(f'  classes      {", ".join(card.classes)}')
    for title in ('training', 'results', 'calibration'):
        for key, value in dict(getattr(card, title)).items():
            lines.append(_wrapped(f'  {title:<12} ', key, value))
    return '\n'.join(lines)


def _wrapped(start: str, key: str, value: Any) -> str:
    """One entry of a card in lines of WIDTH; several numbers as a list of names and values."""
    if isinstance(value, Mapping):
        value = ', '.join(
            f'{name}{_FIXED}{part:.4g}' if isinstance(part, float)
            else f'{name}{_FIXED}{to_json(part)}'
            for name, part in value.items()
        )
    text = value if isinstance(value, str) else to_json(value)
    lines = textwrap.fill(f'{start}{key}: {text}', WIDTH, subsequent_indent=' ' * 17)
    return lines.replace(_FIXED, ' ')


def _tensor(spec: TensorSpec) -> str:
    shape = ', '.join('any' if size < 0 else str(size) for size in spec.shape)
    text = f'{spec.name} {spec.dtype} [{shape}]'
    return ' '.join(part for part in (text, spec.unit and f'({spec.unit})', spec.meaning) if part)
