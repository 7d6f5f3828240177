# SPDX-License-Identifier: Apache-2.0
"""A folder that is whole or not there."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perception_nodes.evaluation.replay.whole_folder import whole_folder
from perception_nodes.types import PerceptionError


def test_it_gets_its_name_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / 'a' / 'out'
    with whole_folder(out) as folder:
        (folder / 'x').write_text('1')
        assert not out.exists()
    assert (out / 'x').read_text() == '1'
    assert [entry.name for entry in out.parent.iterdir()] == ['out']


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    with whole_folder(out) as folder:
        (folder / 'x').write_text('old')
    with pytest.raises(RuntimeError), \
            whole_folder(out, overwrite=True, names='x') as folder:
        (folder / 'x').write_text('new')
        raise RuntimeError
    assert (out / 'x').read_text() == 'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['out']


def test_overwrite_replaces_all_of_it(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    for name in ('x', 'y'):
        with whole_folder(out, overwrite=True, names='xy') as folder:
            (folder / name).write_text(name)
    assert [entry.name for entry in out.iterdir()] == ['y']
    assert [entry.name for entry in tmp_path.iterdir()] == ['out']


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    (tmp_path / 'out').mkdir()
    with whole_folder(tmp_path / 'out') as folder:
        (folder / 'x').write_text('1')
    with pytest.raises(PerceptionError, match=r'not empty; .*--overwrite'), \
            whole_folder(tmp_path / 'out'):
        raise AssertionError('the block must not run')
    assert (tmp_path / 'out' / 'x').read_text() == '1'


def test_folders_of_the_user_beside_it_stay(tmp_path: Path) -> None:
    for name in ('out.partial', 'out.replaced', '.out.partial'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'thesis.txt').write_text('all of it')
    for _ in range(2):
        with whole_folder(tmp_path / 'out', overwrite=True) as folder:
            (folder / 'metrics.json').write_text('{}')
    assert len(list(tmp_path.glob('*/thesis.txt'))) == 3
    assert len(list(tmp_path.iterdir())) == 4


def test_only_results_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    with whole_folder(out) as folder:
        (folder / 'metrics.json').write_text('old')
    (out / 'thesis.txt').write_text('all of it')
    with pytest.raises(PerceptionError, match=r'holds thesis\.txt, which is no result'), \
            whole_folder(out, overwrite=True):
        raise AssertionError('the block must not run')
    assert (out / 'thesis.txt').read_text() == 'all of it'


def test_without_an_atomic_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('ctypes.CDLL', lambda *_, **__: object())
    test_overwrite_replaces_all_of_it(tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Kill -9 while it writes: old results stand, and the next one leaves nothing else there."""
    out = tmp_path / 'out'
    with whole_folder(out) as folder:
        (folder / 'metrics.json').write_text('old')
    script = (
        'import os, signal, sys\n'
        'from pathlib import Path\n'
        'from perception_nodes.evaluation.replay.whole_folder import whole_folder\n'
        'with whole_folder(Path(sys.argv[1]), overwrite=True) as folder:\n'
        '    (folder / "metrics.json").write_text("half")\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    done = subprocess.run([sys.executable, '-c', script, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (out / 'metrics.json').read_text() == 'old'
    assert len(list(tmp_path.iterdir())) == 2
    with whole_folder(out, overwrite=True) as folder:
        (folder / 'metrics.json').write_text('new')
    assert (out / 'metrics.json').read_text() == 'new'
    assert [entry.name for entry in tmp_path.iterdir()] == ['out']


def test_what_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / 'file'
    file.write_text('x')
    with pytest.raises(PerceptionError, match='is a file'), whole_folder(file):
        raise AssertionError('the block must not run')
    with pytest.raises(PerceptionError, match=r'cannot write .*file'), \
            whole_folder(file / 'out'):
        raise AssertionError('the block must not run')
