# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perception_nodes.files.atomic import (
    FileKind,
    open_lock,
    read_file,
    remove_leftovers,
    temporary_folder,
    write_atomically,
)
from perception_nodes.types import PerceptionError

OURS = FileKind('toy', lambda head: head.startswith(b'TOY'))
DIES = """
import os, signal, sys
from pathlib import Path
import perception_nodes.files.atomic as files
path, where = Path(sys.argv[1]), sys.argv[2]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if where == 'folder':
    with files.temporary_folder('toy', path.parent) as folder:
        (folder / 'inside').write_text('x')
        die()
if where == 'sync':
    files.os.fsync = die
if where == 'rename':
    files.Path.replace = die
files.write_atomically(path, b'TOY new')
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_the_usual_mode_and_replaced_with_its_own(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'a.toy'
    write_atomically(path, b'TOY 1', OURS)
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o600)
    write_atomically(path, b'TOY 2', OURS)
    assert path.read_bytes() == b'TOY 2'
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path.parent) == ['a.toy']


def test_only_a_file_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    foreign = tmp_path / 'calibration.yaml'
    foreign.write_text('precious: 1\n')
    with pytest.raises(PerceptionError, match='is not a toy'):
        write_atomically(foreign, b'TOY', OURS)
    assert foreign.read_text() == 'precious: 1\n'
    (tmp_path / 'empty').touch()
    write_atomically(tmp_path / 'empty', b'TOY', OURS)
    write_atomically(foreign, b'any', None)  # named by the user as an output
    assert foreign.read_bytes() == b'any'


def test_a_link_stays_a_link_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / 'disk').mkdir()
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'disk' / 'real')
    write_atomically(link, b'TOY', OURS)
    assert link.is_symlink()
    assert (tmp_path / 'disk' / 'real').read_bytes() == b'TOY'


@pytest.mark.parametrize('kind', [None, OURS])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, kind: FileKind | None) -> None:
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    for name in ('pipe', 'folder'):
        with pytest.raises(PerceptionError, match='cannot write'):
            write_atomically(tmp_path / name, b'TOY', kind)
    with pytest.raises(PerceptionError, match='no regular file'):
        write_atomically(Path('/dev/null'), b'TOY', kind)
    assert (tmp_path / 'pipe').is_fifo()
    assert names(tmp_path) == ['folder', 'pipe']


@pytest.mark.parametrize('path', ['file/inside', 'x' * 300, 'nul\0byte', '.', ''])
def test_an_impossible_name_is_one_line(tmp_path: Path, path: str) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(PerceptionError, match='cannot write'):
        write_atomically(tmp_path / path, b'')
    assert names(tmp_path) == ['file']


def test_an_exception_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / 'a', b'x')
    assert names(tmp_path) == []


@pytest.mark.parametrize('where', ['sync', 'rename', 'folder'])
def test_what_a_killed_process_leaves_goes_at_the_next_write(tmp_path: Path, where: str) -> None:
    path = tmp_path / 'toy'
    path.write_bytes(b'TOY old')
    for _ in range(2):
        died = subprocess.run([sys.executable, '-c', DIES, str(path), where], check=False)
        assert died.returncode == -signal.SIGKILL
        assert path.read_bytes() == b'TOY old'
        assert len(names(tmp_path)) == 2  # the second has removed the first one's
    write_atomically(path, b'TOY', OURS)
    assert names(tmp_path) == ['toy']


def test_what_is_being_written_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    with temporary_folder('toy', tmp_path) as folder:
        (tmp_path / '.toy.backup').touch()
        (tmp_path / f'.toy.{"0" * 12}.part').touch()
        remove_leftovers(tmp_path, 'toy')
        assert folder.is_dir()
        assert len(names(tmp_path)) == 3
    assert not folder.exists()
    assert len(names(tmp_path)) == 2


def test_a_renamed_folder_stays(tmp_path: Path) -> None:
    with temporary_folder('toy', tmp_path) as folder:
        (folder / 'a').touch()
        folder.rename(tmp_path / 'kept')
    assert names(tmp_path) == ['kept']


def test_a_lock_is_never_a_link(tmp_path: Path) -> None:
    (tmp_path / 'victim').write_text('precious')
    (tmp_path / 'lock').symlink_to(tmp_path / 'victim')
    with pytest.raises(OSError, match='lock'):
        open_lock(tmp_path / 'lock')
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(OSError, match='pipe'):
        open_lock(tmp_path / 'pipe')
    os.close(open_lock(tmp_path / 'good'))
    assert (tmp_path / 'victim').read_text() == 'precious'


def test_reading_refuses_what_could_hang_or_fill_the_memory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'big').write_bytes(bytes(11))
    for path in (tmp_path / 'pipe', Path('/dev/zero'), tmp_path):
        with pytest.raises(PerceptionError, match=r'is not a file|Is a directory'):
            read_file(path, 'toy')
    with pytest.raises(PerceptionError, match='11 bytes, more than 10'):
        read_file(tmp_path / 'big', 'toy', 10)
    with pytest.raises(PerceptionError, match=r'toy .* is missing'):
        read_file(tmp_path / 'none', 'toy')
    assert read_file(tmp_path / 'big', 'toy', 11) == bytes(11)
