# SPDX-License-Identifier: Apache-2.0
"""The files behind a bag: found, unpacked, checked. What they hold is read elsewhere.

A rosbag2 is a folder of .mcap or .db3 files with a metadata.yaml, often split, sometimes with
each file zstd-compressed; people also keep a bare file, or lose the metadata.yaml.
"""

import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from rosbags.rosbag2 import Reader

from perception_nodes.types import PerceptionError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = ('.mcap', '.db3')
ZSTD_SUFFIXES = ('.zstd', '.zst')
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
METADATA = 'metadata.yaml'


def find_storage_files(path: Path) -> list[Path]:
    """List the files of a bag, in order.

    Parameters
    ----------
    path : the bag's folder, or one of its files.

    Raises
    ------
    PerceptionError
        If there is no bag here, or a file that metadata.yaml names is missing.
    """
    if not path.exists():
        raise PerceptionError(f'no bag at {path}: there is no such file or folder')
    if path.is_file():
        if not _is_storage(path):
            raise PerceptionError(f'{path} is not a rosbag2 file (.mcap or .db3)')
        return [path]
    if (path / METADATA).is_file():
        return _files_of_metadata(path)
    files = sorted((p for p in path.iterdir() if _is_storage(p)), key=_split_order)
    if not files:
        raise PerceptionError(f'{path} is not a rosbag2: it holds no metadata.yaml, .mcap or .db3')
    return files


def open_storage(path: Path, stack: ExitStack) -> Reader:
    """Open one file; the stack closes it. A zstd-compressed file is unpacked beside no one else.

    Raises
    ------
    PerceptionError
        If the file is damaged or cannot be read.
    """
    try:
        if path.suffix in ZSTD_SUFFIXES:
            path = _unpacked(path, stack)
        return stack.enter_context(Reader(path))
    # A parser on foreign bytes fails in many ways; all of them mean a damaged file.
    except Exception as error:
        raise PerceptionError(damaged(path, error)) from error


def plain_message(data: bytes) -> bytes:
    """Unpack a message of a bag whose messages are compressed one by one."""
    # No CDR starts with zstd's magic: its first byte is 0.
    return zstd.decompress(data) if data[:4] == _ZSTD_MAGIC else data


def damaged(path: Path, error: Exception) -> str:
    """Say in one line what is wrong with a file that the bag library could not read."""
    if isinstance(error, OSError) and error.strerror:
        return f'cannot read {path}: {error.strerror}'
    reason = ' '.join(str(error).split()) or type(error).__name__
    if 'magic' in reason or 'footer' in reason:
        return (
            f'{path} is damaged or was cut off ({reason.rstrip(".")}): '
            'an interrupted recording may be repaired with `mcap recover`'
        )
    return f'{path} is damaged: {reason}'


def _is_storage(path: Path) -> bool:
    name = PurePosixPath(path.name)
    if name.suffix in ZSTD_SUFFIXES:
        name = PurePosixPath(name.stem)
    return name.suffix in SUFFIXES


def _split_order(path: Path) -> list[Any]:
    """Natural order: bag_2 comes before bag_10."""
    parts = re.split(r'(\d+)', path.name)
    return [int(part) if part.isdigit() else part for part in parts]


def _files_of_metadata(folder: Path) -> list[Path]:
    try:
        content = yaml.safe_load((folder / METADATA).read_text('utf8'))
        names = content['rosbag2_bagfile_information']['relative_file_paths']
        # Before version 4 the paths held the folder too.
        files = [folder / PurePosixPath(name).name for name in names]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise PerceptionError(f'{folder / METADATA} cannot be read: {reason}') from None
    files = [_compressed_or_plain(file) for file in files]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        shown = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
        raise PerceptionError(
            f'{folder} is incomplete: {len(missing)} of its {len(files)} files are missing '
            f'({shown}); copy them here, or give one of the files that are there'
        )
    if not files:
        raise PerceptionError(f'{folder / METADATA} names no files: the recording is empty')
    return files


def _compressed_or_plain(file: Path) -> Path:
    """Follow `ros2 bag` in that metadata may name a file without its .zstd, or with it."""
    if not file.is_file():
        for suffix in ZSTD_SUFFIXES:
            other = file.with_name(file.name + suffix)
            if other.is_file():
                return other
        if file.suffix in ZSTD_SUFFIXES and file.with_suffix('').is_file():
            return file.with_suffix('')
    return file


def _unpacked(path: Path, stack: ExitStack) -> Path:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='perception_bag_'))
    target = Path(folder) / path.stem
    with zstd.open(path, 'rb') as source, target.open('wb') as sink:
        shutil.copyfileobj(source, sink, 1 << 22)
    return target
