# SPDX-License-Identifier: Apache-2.0
"""Files that are either whole or not there."""

import os
import tempfile
from pathlib import Path

from perception_nodes.types import PerceptionError


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes to a temporary file in the same folder, then rename it to its name.

    Raises
    ------
    PerceptionError
        If the folder cannot be written (missing rights, full disk); nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None
