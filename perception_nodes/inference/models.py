# SPDX-License-Identifier: Apache-2.0
"""Where models are: by path, in a folder the user names, installed, or in the checkout."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from perception_nodes.types import PerceptionError

VARIABLE = 'PERCEPTION_MODELS'
SHARE = Path('share') / 'perception_nodes' / 'models'


def model_folders() -> tuple[Path, ...]:
    """Folders that are searched, first one first; only those that exist.

    ``$PERCEPTION_MODELS`` (several, separated like PATH), ``share/perception_nodes/models`` under
    every prefix of ``$AMENT_PREFIX_PATH`` and under the Python prefix, the checkout's ``models``.
    """
    seen: list[Path] = []
    for folder in _candidates():
        if folder.is_dir() and folder not in seen:
            seen.append(folder)
    return tuple(seen)


def model_path(name: str | Path) -> Path:
    """Find the ONNX file of a released name, or take an explicit path to one.

    Raises
    ------
    PerceptionError
        If there is none; the line names what there is and where it was searched.
    """
    text = str(name)
    if text.endswith('.onnx') or os.sep in text:
        path = Path(text)
        if not path.is_file():
            raise PerceptionError(f'model file {path} is missing')
        return path
    for folder in model_folders():
        path = folder / f'{text}.onnx'
        if path.is_file():
            return path
    known = ', '.join(sorted(list_models())) or 'none'
    raise PerceptionError(
        f'no model {text!r} (there are: {known}); pass a path to an .onnx file '
        f'or set {VARIABLE} to the folder that holds it'
    )


def list_models() -> dict[str, Path]:
    """Every model that can be found: name to ONNX file; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for path in sorted(folder.glob('*.onnx')):
            found.setdefault(path.stem, path)
    return found


def _candidates() -> Iterator[Path]:
    for entry in os.environ.get(VARIABLE, '').split(os.pathsep):
        if entry:
            yield Path(entry)
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            yield Path(prefix) / SHARE
    yield Path(sys.prefix) / SHARE
    yield Path(__file__).resolve().parents[2] / 'models'
