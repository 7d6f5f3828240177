# SPDX-License-Identifier: Apache-2.0
"""Results as JSON; whether the file can be written is checked before the work."""

import os
from pathlib import Path

from perception_nodes.errors import ConfigError
from perception_nodes.files.atomic import check_replaceable, write_atomically
from perception_nodes.files.documents import to_json

__all__ = ['require_writable', 'write_json']


def require_writable(*paths: Path | None) -> None:
    """Raise ConfigError if one of the files (None: not wanted) could not be written."""
    for path in paths:
        if path is None:
            continue
        check_replaceable(path)
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigError(f'cannot write {path}: {folder} is not a folder that can be written')


def write_json(path: Path | None, value: object) -> None:
    """Write a requested file atomically; values that are not finite become null."""
    if path is not None:
        write_atomically(path, (to_json(value, indent=2) + '\n').encode())
