# SPDX-License-Identifier: Apache-2.0
"""A folder of results that is either whole or not there."""

import ctypes
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from perception_nodes.files.atomic import temporary_folder
from perception_nodes.types import PerceptionError

__all__ = ['RESULT_NAMES', 'whole_folder']

# What replay and demo write; a folder that holds anything else is not replaced.
RESULT_NAMES = frozenset({
    'outputs', 'drive', 'logs', 'trajectories', 'metrics.json', 'timings.json', 'report.html',
})

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def whole_folder(
    path: Path, *, overwrite: bool = False, names: Collection[str] = RESULT_NAMES
) -> Iterator[Path]:
    """Provide a folder to write into that gets its name when the block ends well.

    Parameters
    ----------
    path : the folder to be.
    overwrite : replace the results that are there; else only an empty folder is.
    names : what such a folder may hold in order to be replaced.

    Yields
    ------
    a hidden folder beside it; it is removed when the block raises, and if the process is killed
    when the next one writes the same results.

    Raises
    ------
    PerceptionError
        If the folder holds something, is a file, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    _check(path, target, overwrite, names)
    with temporary_folder(target.name, target.parent) as folder:
        result = folder / 'results'
        try:
            result.mkdir()
            yield result
            _check(path, target, overwrite, names)
            # Old results go with the temporary folder, when the new ones stand.
            if target.exists():
                _swap(result, target)
            else:
                result.rename(target)
        except OSError as error:
            raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None


def _swap(first: Path, second: Path) -> None:
    """Exchange the names of two folders, at once where the kernel can: no moment without results.

    Raises
    ------
    OSError
        If neither is renamed.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), 'renameat2', None)
    if rename is not None and not rename(
        _HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE
    ):
        return
    aside = first.with_name('replaced')
    second.rename(aside)
    try:
        first.rename(second)
    except OSError:
        aside.rename(second)
        raise


def _check(path: Path, target: Path, overwrite: bool, names: Collection[str]) -> None:
    try:
        if target.exists() and not target.is_dir():
            raise PerceptionError(f'{path} is a file; pass a folder')
        held = {entry.name for entry in target.iterdir()} if target.is_dir() else set()
    except OSError as error:
        raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None
    if held and not overwrite:
        raise PerceptionError(f'{path} is not empty; choose another name, or --overwrite')
    if foreign := sorted(held - set(names)):
        raise PerceptionError(
            f'{path} holds {foreign[0]}, which is no result of this command: it is left as it '
            'is; choose another name'
        )
