# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk: whole or not there, and never trusted without a look.

A file is ``PNENGINE`` + length of the header (8 bytes, little endian) + header (JSON: the key,
size and sha256 of the plan, how it was built) + the plan as TensorRT serialised it.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_nodes.files.atomic import (
    FileKind,
    open_lock,
    read_file,
    remove_leftovers,
    write_atomically,
)
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.inference.tensorrt.engine_key import EngineKey
from perception_nodes.types import PerceptionError

MAGIC = b'PNENGINE'
MAX_HEADER_BYTES = 1 << 20
VARIABLE = 'PERCEPTION_ENGINES'
ENGINE = FileKind('TensorRT engine', lambda head: head.startswith(MAGIC))


class StaleEngineError(Exception):
    """An engine file that must not be loaded, and the reason."""


@dataclass(frozen=True)
class EngineHeader:
    """The header of an engine file.

    Attributes
    ----------
    key : what it is for.
    plan_bytes, plan_sha256 : what must follow the header.
    facts : build_s, peak_memory_mb (of the process), build_gpu_mb, engine_gpu_mb, built_at_s.
    """

    key: EngineKey
    plan_bytes: int
    plan_sha256: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class EngineFile:
    """A file whose header could be read.

    Attributes
    ----------
    path : where it is. header : see EngineHeader. plan_at : where the plan starts, bytes.
    """

    path: Path
    header: EngineHeader
    plan_at: int

    @property
    def key(self) -> EngineKey:
        """What it is for."""
        return self.header.key


def engine_folder(folder: str | Path | None = None) -> Path:
    """Folder of engines: the given one, $PERCEPTION_ENGINES, or the user's cache folder."""
    chosen = folder or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'perception_nodes' / 'engines'


class EngineCache:
    """The engines of one folder; several processes may share it."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = engine_folder(folder)

    def path(self, key: EngineKey) -> Path:
        """Where the engine of a key is, or would be."""
        return self.folder / key.file_name

    def load(self, key: EngineKey) -> bytes:
        """Plan of a key, checked.

        Raises
        ------
        StaleEngineError
            If there is none that may be loaded; the reason is one line for people.
        """
        path = self.path(key)
        if not path.is_file():
            raise StaleEngineError(self._why_missing(key))
        file = read_header(path)
        if difference := key.difference(file.key):
            raise StaleEngineError(f'{path.name} is for {difference}')
        try:
            plan = read_file(path, 'engine')[file.plan_at:]
        except PerceptionError as error:
            raise StaleEngineError(str(error)) from None
        header = file.header
        whole = len(plan) == header.plan_bytes
        if not whole or hashlib.sha256(plan).hexdigest() != header.plan_sha256:
            raise StaleEngineError(f'{path.name} is cut short or damaged')
        return plan

    def find(self, key: EngineKey) -> tuple[EngineKey, bytes]:
        """Plan of a key, or of another one that serves it: built with other options, say.

        Returns
        -------
        key of the engine that was found, and its plan.

        Raises
        ------
        StaleEngineError
            As :meth:`load`.
        """
        try:
            return key, self.load(key)
        except StaleEngineError:
            for _, file, _ in self.files():
                if file is not None and file.key != key and file.key.serves(key):
                    with suppress(StaleEngineError):
                        return file.key, self.load(file.key)
            raise

    def store(self, key: EngineKey, plan: bytes, facts: Mapping[str, Any]) -> Path:
        """Write an engine under its name, all at once."""
        header = to_json(EngineHeader(
            key, len(plan), hashlib.sha256(plan).hexdigest(),
            {**facts, 'built_at_s': int(time.time())},
        )).encode()
        content = MAGIC + len(header).to_bytes(8, 'little') + header + plan
        write_atomically(self.path(key), content, ENGINE)
        return self.path(key)

    def files(self) -> Iterator[tuple[Path, EngineFile | None, str]]:
        """Every engine file with its header, or with the reason why it has none."""
        for path in sorted(self.folder.glob('*.engine')) if self.folder.is_dir() else ():
            try:
                yield path, read_header(path), ''
            except StaleEngineError as error:
                yield path, None, str(error)

    @contextmanager
    def building(self, key: EngineKey) -> Iterator[None]:
        """Hold the right to build a key; another process that wants it waits.

        The kernel takes the lock back from a process that dies. The lock file goes at the end.
        """
        path = self.folder / f'.{key.file_name}.lock'
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
        except OSError as error:
            raise PerceptionError(
                f'cannot write engines to {self.folder}: {error.strerror}; '
                f'name another folder with engine_dir or {VARIABLE}'
            ) from None
        try:
            remove_leftovers(self.folder, key.file_name)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)

    def _why_missing(self, key: EngineKey) -> str:
        for path, file, reason in self.files():
            if file is None and path.name.startswith(f'{key.name}-'):
                return reason
            if file is not None and file.key.name == key.name:
                return f'{path.name} is for {key.difference(file.key)}'
        return f'no engine of {key.name} in {self.folder}'


def is_engine(path: Path) -> bool:
    """Whether a file starts like an engine of this package, damaged or not."""
    try:
        if not path.is_file():
            return False
        with path.open('rb') as file:
            return ENGINE.recognises(file.read(len(MAGIC)))
    except OSError:
        return False


class TimingCache:
    """What one version of the library has measured so far; builds are quicker with it.

    It is a help only: what is not there, foreign or cannot be written is done without.
    """

    MAGIC = b'PNTIMING'
    KIND = FileKind('timing cache', lambda head: head.startswith(TimingCache.MAGIC))

    def __init__(self, folder: Path, flavour: str, version: str) -> None:
        self._path = folder / f'{flavour}-{version}.timings'

    def read(self) -> bytes:
        """Return what was measured, b'' if nothing."""
        try:
            content = read_file(self._path, 'timing cache')
        except PerceptionError:
            return b''
        return content.removeprefix(self.MAGIC) if content.startswith(self.MAGIC) else b''

    def write(self, timings: bytes) -> None:
        """Keep what was measured, if that is anything."""
        if timings:
            with suppress(PerceptionError):
                write_atomically(self._path, self.MAGIC + timings, self.KIND)


def read_header(path: Path) -> EngineFile:
    """Read only the header; StaleEngineError if it is none of ours or damaged."""
    if not path.is_file():
        raise StaleEngineError(f'{path.name} is not a file')
    try:
        with path.open('rb') as file:
            start = file.read(16)
            length = int.from_bytes(start[8:], 'little')
            if start[:8] != MAGIC or len(start) != 16 or length > MAX_HEADER_BYTES:
                raise StaleEngineError(f'{path.name} is not an engine of this package')
            header = decode_json(file.read(length), EngineHeader)
    except OSError as error:
        raise StaleEngineError(f'{path.name} cannot be read: {error.strerror}') from None
    except PerceptionError:
        raise StaleEngineError(f'{path.name} is cut short or damaged') from None
    return EngineFile(path, header, 16 + length)


def _locked(path: Path) -> int:
    """Hold the lock of that name; the one before may have removed its file meanwhile."""
    while True:
        handle = open_lock(path)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.lstat()):
                return handle
        os.close(handle)
