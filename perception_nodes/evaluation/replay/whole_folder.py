# SPDX-License-Identifier: Apache-2.0
"""A folder of results that is either whole or not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perception_nodes.types import PerceptionError

__all__ = ['whole_folder']


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write into that gets its name when the block ends well.

    Parameters
    ----------
    path : the folder to be.
    overwrite : replace what is there; else only an empty folder is.

    Yields
    ------
    the folder ``PATH.partial``; it is removed when the block raises.

    Raises
    ------
    PerceptionError
        If the folder holds something, is a file, or cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise PerceptionError(f'{path} is a file; give the name of a folder')
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise PerceptionError(f'{path} is not empty; give another name, or --overwrite')
    partial = path.with_name(f'{path.name}.partial')
    try:
        _remove(partial)
        partial.mkdir(parents=True)
    except OSError as error:
        raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None
    try:
        yield partial
        _give_name(partial, path)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _give_name(partial: Path, path: Path) -> None:
    """Swap the new folder in; the old one goes only when the new one stands."""
    old = path.with_name(f'{path.name}.replaced')
    _remove(old)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
