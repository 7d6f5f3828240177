# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are whole or not there, and of which no dead process leaves a piece.

What is being written has a temporary name beside its own and a lock that the kernel takes back
when the writing process dies, however it dies. Whoever writes the same thing next removes pieces
that nobody holds any more. A file is only ever replaced by one of its own kind.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from perception_nodes.types import PerceptionError

__all__ = [
    'FileKind', 'check_replaceable', 'open_lock', 'read_file', 'remove_leftovers',
    'temporary_folder', 'write_atomically',
]

PART = '.perception-part'
HEAD_BYTES = 4096
GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class FileKind:
    """A kind of file that this package writes.

    Attributes
    ----------
    name : for people: 'place map', 'engine'.
    recognises : whether the first 4096 bytes are those of such a file.
    """

    name: str
    recognises: Callable[[bytes], bool]


def read_file(path: Path, what: str, most_bytes: int = 2 * GIBIBYTE) -> bytes:
    """Read a regular file of a bounded size.

    Parameters
    ----------
    what : it is, for the message: 'model file', 'model card'.

    Raises
    ------
    PerceptionError
        If it is missing, no file (a folder, a device, a pipe), too large, or cannot be read.
    """
    try:
        # A pipe would be waited for: it is opened without waiting, then refused.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb') as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PerceptionError(f'{what} {path} is not a file')
            if status.st_size > most_bytes:
                raise PerceptionError(
                    f'{what} {path} has {status.st_size} bytes, more than {most_bytes}'
                )
            return file.read(most_bytes)
    except FileNotFoundError:
        raise PerceptionError(f'{what} {path} is missing') from None
    except (OSError, ValueError) as error:
        raise PerceptionError(f'{what} {path} cannot be read: {_reason(error)}') from None


def write_atomically(path: Path, content: bytes, kind: FileKind | None = None) -> None:
    """Write bytes under a temporary name in the same folder, then rename that to the name.

    A symbolic link stays one: the file that it leads to is replaced. A replaced file keeps its
    mode; a new one gets the mode that the umask leaves.

    Parameters
    ----------
    kind : what a file that is there already must be in order to be replaced; None: any file (the
        user named it as an output on the command line).

    Raises
    ------
    PerceptionError
        If the folder cannot be written (missing rights, full disk), or what is there is no
        regular file or not of that kind. What was there stays then, and nothing is left behind.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _replaceable(path, target, kind)
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, target.name)
        with _temporary_file(target, mode) as (handle, temporary):
            with os.fdopen(os.dup(handle), 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        _flush_folder(target.parent)
    except (OSError, ValueError) as error:
        raise PerceptionError(f'cannot write {path}: {_reason(error)}') from None


@contextmanager
def temporary_folder(stem: str, parent: Path | None = None) -> Iterator[Path]:
    """Provide a folder that is removed afterwards, on errors too, unless it was renamed meanwhile.

    Folders of the same stem that dead processes have left are removed first.

    Parameters
    ----------
    stem : middle of its name, which is hidden.
    parent : where; None: the system's folder for temporary files.

    Raises
    ------
    PerceptionError
        If it cannot be made.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent, stem)
        while True:
            path = parent / _temporary_name(stem)
            path.mkdir(mode=0o700)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if _lock_new(handle, path):
                break
    except OSError as error:
        raise PerceptionError(f'cannot write in {parent}: {_reason(error)}') from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def remove_leftovers(folder: Path, stem: str | None = None) -> None:
    """Remove what dead processes of this user have left of writing STEM (anything) in a folder."""
    middle = '.+' if stem is None else re.escape(stem)
    pattern = re.compile(rf'\.{middle}\.[0-9a-f]{{12}}{re.escape(PART)}', re.DOTALL)
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if pattern.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_dead(folder / name)


def check_replaceable(path: Path, kind: FileKind | None = None) -> None:
    """Find out before the work, not after it, that what is there would not be replaced.

    Raises
    ------
    PerceptionError
        As write_atomically.
    """
    try:
        _replaceable(path, Path(os.path.realpath(path)), kind)
    except (OSError, ValueError) as error:
        raise PerceptionError(f'cannot write {path}: {_reason(error)}') from None


def open_lock(path: Path) -> int:
    """Open a lock file, which holds nothing; a link or anything but a plain file is refused.

    Raises
    ------
    OSError
        If it cannot be made or is no plain file.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                     0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(None, 'it is not a plain file', str(path))
    return handle


def _replaceable(path: Path, target: Path, kind: FileKind | None) -> int | None:
    """Mode of the file that is to be replaced, None if there is none; else PerceptionError."""
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        what = 'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'
        raise PerceptionError(f'cannot write {path}: it is {what}')
    if kind is not None and status.st_size:
        with target.open('rb') as file:
            if not kind.recognises(file.read(HEAD_BYTES)):
                raise PerceptionError(
                    f'{path} is there and is not a {kind.name}: it is left as it is; '
                    'remove it or choose another name'
                )
    return stat.S_IMODE(status.st_mode)


@contextmanager
def _temporary_file(target: Path, mode: int | None) -> Iterator[tuple[int, Path]]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        path = target.parent / _temporary_name(target.name)
        handle = os.open(path, flags, 0o666 if mode is None else mode)
        if _lock_new(handle, path):
            break
    try:
        if mode is not None:
            os.fchmod(handle, mode)
        yield handle, path
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _lock_new(handle: int, path: Path) -> bool:
    """Hold what was just made; False if another process took it for a leftover meanwhile."""
    with suppress(OSError):  # a file system without locks: then nobody removes leftovers there
        fcntl.flock(handle, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), path.lstat()):
            return True
    os.close(handle)
    return False


def _remove_if_dead(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != os.geteuid() or stat.S_IFMT(status.st_mode) not in (
        stat.S_IFREG, stat.S_IFDIR
    ):
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: it is being written
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _temporary_name(stem: str) -> str:
    return f'.{stem}.{secrets.token_hex(6)}{PART}'


def _flush_folder(folder: Path) -> None:
    """Put the new name on the disk, too, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)
