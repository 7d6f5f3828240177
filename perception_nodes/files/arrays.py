# SPDX-License-Identifier: Apache-2.0
"""NumPy archives (.npz) that come from outside: sizes are checked before memory is taken.

``numpy.load`` trusts the headers of an archive, and raises whatever zipfile, zlib and its
own header parser raise. Here every entry is looked at first, and there is one kind of error.
"""

import io
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.types import Array, PerceptionError

__all__ = ['MOST_BYTES', 'read_arrays']

MOST_BYTES = 1 << 30
ENCRYPTED = 0x1
KNOWN_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_arrays(
    path: Path, names: Iterable[str], *, most_bytes: int = MOST_BYTES, others: bool = False
) -> dict[str, Array]:
    """Read arrays of an archive.

    Parameters
    ----------
    most_bytes : that all of them may take, unpacked.
    others : whether the archive may hold more than these.

    Raises
    ------
    PerceptionError
        If the file is missing, is no such archive, is damaged, lacks an array, holds others,
        holds Python objects, or would take more memory than that. The line does not name the file.
    """
    if not path.is_file():
        raise PerceptionError('it is missing or no file')
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            wanted = {name: _entry(entries, name) for name in names}
            if not others and len(wanted) != len(archive.infolist()):
                raise PerceptionError('it holds more than the arrays that belong there')
            total = sum(entry.file_size for entry in wanted.values())
            if total > most_bytes:
                raise PerceptionError(f'it unpacks to {total} bytes, more than {most_bytes}')
            return {name: _array(archive, entry) for name, entry in wanted.items()}
    except PerceptionError:
        raise
    except Exception as error:  # zipfile, zlib and numpy's parser have no base in common
        reason = ' '.join(str(error).split())[:120] or type(error).__name__
        raise PerceptionError(f'it is no whole NumPy archive ({reason})') from None


def _entry(entries: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    entry = entries.get(f'{name}.npy')
    if entry is None:
        raise PerceptionError(f'it holds no array {name!r}')
    if entry.compress_type not in KNOWN_COMPRESSIONS or entry.flag_bits & ENCRYPTED:
        raise PerceptionError(f'its array {name!r} is packed in an unknown way')
    return entry


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as packed:
        content = packed.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise PerceptionError(f'its entry {entry.filename} is shorter than declared')
    file = io.BytesIO(content)
    version: Any = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                   (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise PerceptionError(f'its entry {entry.filename} is of an unknown version')
    shape, by_columns, dtype = read_header(file)
    start = file.tell()
    if dtype.hasobject or dtype.itemsize == 0:
        raise PerceptionError(f'its entry {entry.filename} holds no numbers')
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise PerceptionError(f'its entry {entry.filename} is not as long as its shape requires')
    flat = np.frombuffer(content, dtype, offset=start)
    return np.array(flat.reshape(shape, order='F' if by_columns else 'C'))
