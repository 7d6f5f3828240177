# SPDX-License-Identifier: Apache-2.0
"""The files behind a recording: found, unpacked, opened. What they hold is read elsewhere.

A rosbag2 is a folder of .mcap or .db3 files with a metadata.yaml, often split, sometimes with
each file zstd-compressed; people also keep a bare file, or lose the metadata.yaml.
"""

import re
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from perception_nodes.bags.limits import BagLimits, too_large, unpacked, zstd
from perception_nodes.bags.mcap_file import McapFile
from perception_nodes.bags.sqlite_file import SqliteFile
from perception_nodes.bags.storage_file import StorageFile, shown
from perception_nodes.files.atomic import temporary_folder
from perception_nodes.types import BagError

__all__ = ['Layout', 'find_layout', 'open_storage', 'plain_message']

FORMATS: dict[str, type[McapFile] | type[SqliteFile]] = {'.mcap': McapFile, '.db3': SqliteFile}
ZSTD_SUFFIXES = ('.zstd', '.zst')
METADATA = 'metadata.yaml'
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_MOST_METADATA_BYTES = 16 << 20
# Written by libyaml where it is there: a metadata.yaml of many splits is long.
_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_FREE_BYTES = 1 << 30
# No recording of this size is packed so well.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 1 << 30, 200


@dataclass(frozen=True)
class Layout:
    """The files of a recording in order, and what metadata.yaml declares of them.

    Attributes
    ----------
    declared : type and number of messages by topic; empty without metadata.yaml.
    notes : what is strange about it, for the user.
    """

    files: tuple[Path, ...]
    declared: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_layout(path: Path) -> Layout:
    """Find the files of a recording.

    Parameters
    ----------
    path : its folder, or one of its files.

    Raises
    ------
    BagError
        If there is no recording here, or a file that metadata.yaml names is missing.
    """
    if not path.exists():
        raise BagError(f'no bag at {path}: there is no such file or folder')
    if path.is_file():
        if not _is_storage(path):
            raise BagError(f'{path} is not a rosbag2 file (.mcap or .db3)')
        return Layout((path,))
    if not path.is_dir():
        raise BagError(f'{path} is not a rosbag2: it is neither a file nor a folder')
    files = tuple(sorted(
        (entry for entry in path.iterdir() if _is_storage(entry) and entry.is_file()),
        key=_split_order,
    ))
    notes: tuple[str, ...] = ()
    if (path / METADATA).is_file():
        try:
            return _layout_of_metadata(path, files)
        except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError,
                AttributeError) as error:
            reason = ' '.join(str(error).split())[:200] or type(error).__name__
            line = (
                f'{path / METADATA} is empty or damaged ({reason}); `ros2 bag reindex` makes it '
                'anew'
            )
            if not files:
                raise BagError(line) from None
            notes = (f'{line}: the files are read as they lie there',)
    if not files:
        raise BagError(f'{path} is not a rosbag2: it holds no metadata.yaml, .mcap or .db3')
    return Layout(files, notes=notes)


def open_storage(path: Path, limits: BagLimits, stack: ExitStack) -> StorageFile:
    """Open one file; the stack closes it. A file compressed as a whole is unpacked beside no one.

    Raises
    ------
    BagError
        If the file cannot be read, or is larger than the limits allow.
    """
    try:
        plain = _unpacked(path, limits, stack) if path.suffix in ZSTD_SUFFIXES else path
        storage = FORMATS[plain.suffix](plain, limits)
    except OSError as error:
        raise BagError(f'cannot read {path}: {error.strerror or error}') from None
    stack.callback(storage.close)
    return storage


def plain_message(data: bytes, limits: BagLimits) -> bytes:
    """Unpack a message of a bag whose messages are compressed one by one.

    Raises
    ------
    BagError, ValueError
        If it is too large, or damaged.
    """
    # No CDR starts with zstd's magic: its first byte is 0.
    if data[:4] != _ZSTD_MAGIC:
        return data
    return unpacked(data, 'zstd', limits.message_bytes, 'a message')


def _is_storage(path: Path) -> bool:
    name = PurePosixPath(path.name)
    if name.suffix in ZSTD_SUFFIXES:
        name = PurePosixPath(name.stem)
    return name.suffix in FORMATS and not path.name.startswith('.')


def _split_order(path: Path) -> list[Any]:
    """Natural order: bag_2 comes before bag_10."""
    parts = re.split(r'(\d+)', path.name)
    return [int(part) if part.isdigit() else part for part in parts]


def _layout_of_metadata(folder: Path, present: tuple[Path, ...]) -> Layout:
    metadata = folder / METADATA
    if metadata.stat().st_size > _MOST_METADATA_BYTES:
        raise ValueError(f'it is larger than {_MOST_METADATA_BYTES >> 20} MB')
    content = yaml.load(metadata.read_text('utf8'), _LOADER)
    information = content['rosbag2_bagfile_information']
    # Before version 4 the paths held the folder too.
    files = tuple(
        _compressed_or_plain(folder / PurePosixPath(name).name)
        for name in information['relative_file_paths']
    )
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BagError(
            f'{folder} is incomplete: {len(missing)} of its {len(files)} files are missing '
            f'({shown(missing, 3)}); copy them here, or pass one of the files that are there'
        )
    if not files:
        if present:
            raise ValueError('it names no files')
        raise BagError(f'{metadata} names no files: the recording is empty')
    declared: dict[str, tuple[str, int]] = {}
    for entry in information.get('topics_with_message_count') or ():
        name, kind = entry['topic_metadata']['name'], entry['topic_metadata']['type']
        number = entry['message_count']
        # Not made to fit: the text of nested aliases has no end.
        if not (isinstance(name, str) and isinstance(kind, str) and isinstance(number, int)):
            raise TypeError('a topic without name, type or message_count')
        declared[name] = kind, number + declared.get(name, ('', 0))[1]
    left_out = [file.name for file in present if file not in files]
    # A file compressed as a whole often lies beside what it was made of.
    left_out = [name for name in left_out if not any(
        name.removesuffix(end) == file.name.removesuffix(end)
        for end in ZSTD_SUFFIXES for file in files
    )]
    notes = (
        f'{folder}: {len(left_out)} files that metadata.yaml does not name are left out '
        f'({shown(left_out, 3)}); `ros2 bag reindex` adds them',
    ) if left_out else ()
    return Layout(files, declared, notes)


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


def _unpacked(path: Path, limits: BagLimits, stack: ExitStack) -> Path:
    folder = stack.enter_context(temporary_folder('perception_bag'))
    target = folder / path.stem
    size, packed_size = 0, path.stat().st_size
    try:
        with zstd.open(path, 'rb') as source, target.open('wb') as sink:
            while block := source.read(1 << 22):
                size += len(block)
                if size > limits.file_bytes:
                    raise BagError(f'{path} unpacks to {too_large(limits.file_bytes)}')
                if size > _SUSPICIOUS_BYTES and size > packed_size * _SUSPICIOUS_RATIO:
                    raise BagError(
                        f'{path} unpacks to more than {_SUSPICIOUS_RATIO} times its size: '
                        'that is no recording'
                    )
                if size % (1 << 26) < len(block) and shutil.disk_usage(folder).free < _FREE_BYTES:
                    raise BagError(
                        f'{path} does not fit into {folder.parent} when it is unpacked; '
                        'unpack it yourself, or set TMPDIR to a larger disk'
                    )
                sink.write(block)
    except (zstd.ZstdError, EOFError) as error:
        raise BagError(f'{path} is damaged or cut off: {error}') from None
    return target
