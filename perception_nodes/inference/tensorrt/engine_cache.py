# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk: whole or not there, and never trusted without a look.

A file is ``PNENGINE`` + length of the header (8 bytes, little endian) + header (JSON: the key,
size and sha256 of the plan, how it was built) + the plan as TensorRT serialised it.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_nodes.files import write_atomically
from perception_nodes.inference.tensorrt.engine_key import EngineKey, key_from_json
from perception_nodes.types import PerceptionError

MAGIC = b'PNENGINE'
MAX_HEADER_BYTES = 1 << 20
VARIABLE = 'PERCEPTION_ENGINES'


class StaleEngineError(Exception):
    """An engine file that must not be loaded; says why."""


@dataclass(frozen=True)
class EngineFile:
    """A file whose header could be read.

    Attributes
    ----------
    path, key : where it is and what it is for.
    plan_bytes, plan_sha256 : what must follow the header.
    facts : build_s, peak_memory_mb (of the process), build_gpu_mb, engine_gpu_mb, built_at_s.
    """

    path: Path
    key: EngineKey
    plan_bytes: int
    plan_sha256: str
    facts: Mapping[str, Any]


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
        if told := key.difference(file.key):
            raise StaleEngineError(f'{path.name} is for {told}')
        content = path.read_bytes()
        plan = content[len(content) - file.plan_bytes:] if file.plan_bytes else b''
        whole = len(content) == _header_end(content) + file.plan_bytes
        if not whole or hashlib.sha256(plan).hexdigest() != file.plan_sha256:
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
        header = json.dumps({
            'key': dataclasses.asdict(key), 'plan_bytes': len(plan),
            'plan_sha256': hashlib.sha256(plan).hexdigest(),
            'facts': {**facts, 'built_at_s': int(time.time())},
        }).encode()
        content = MAGIC + len(header).to_bytes(8, 'little') + header + plan
        write_atomically(self.path(key), content)
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

        The kernel takes the lock back from a process that dies; what such a process had half
        written under a temporary name is removed by the next one that holds the lock.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f'.{key.file_name}.lock').open('w')
        except OSError as error:
            raise PerceptionError(
                f'cannot write engines to {self.folder}: {error.strerror}; '
                f'name another folder with engine_dir or {VARIABLE}'
            ) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self.folder.glob(f'.{key.file_name}.*'):
                if leftover.suffix != '.lock':
                    leftover.unlink(missing_ok=True)
            yield

    def _why_missing(self, key: EngineKey) -> str:
        for path, file, reason in self.files():
            if file is None and path.name.startswith(f'{key.name}-'):
                return reason
            if file is not None and file.key.name == key.name:
                return f'{path.name} is for {key.difference(file.key)}'
        return f'no engine of {key.name} in {self.folder}'


def read_header(path: Path) -> EngineFile:
    """Read only the header; StaleEngineError if it is none of ours or damaged."""
    try:
        with path.open('rb') as file:
            start = file.read(16)
            length = int.from_bytes(start[8:], 'little')
            if start[:8] != MAGIC or len(start) != 16 or length > MAX_HEADER_BYTES:
                raise StaleEngineError(f'{path.name} is not an engine of this package')
            content = json.loads(file.read(length))
        return EngineFile(
            path, key_from_json(content['key']), int(content['plan_bytes']),
            str(content['plan_sha256']), dict(content['facts']),
        )
    except OSError as error:
        raise StaleEngineError(f'{path.name} cannot be read: {error.strerror}') from None
    except (ValueError, TypeError, KeyError):
        raise StaleEngineError(f'{path.name} is cut short or damaged') from None


def _header_end(content: bytes) -> int:
    return 16 + int.from_bytes(content[8:16], 'little')
