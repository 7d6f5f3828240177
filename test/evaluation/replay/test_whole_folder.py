# SPDX-License-Identifier: Apache-2.0
"""A folder that is whole or not there."""

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
    with pytest.raises(RuntimeError), whole_folder(out, overwrite=True) as folder:
        (folder / 'x').write_text('new')
        raise RuntimeError
    assert (out / 'x').read_text() == 'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['out']


def test_overwrite_replaces_all_of_it(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    for name in ('x', 'y'):
        with whole_folder(out, overwrite=True) as folder:
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


def test_a_folder_that_was_left_by_a_crash(tmp_path: Path) -> None:
    (tmp_path / 'out.partial').mkdir()
    (tmp_path / 'out.partial' / 'rest').write_text('1')
    with whole_folder(tmp_path / 'out') as folder:
        assert list(folder.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / 'file'
    file.write_text('x')
    with pytest.raises(PerceptionError, match='is a file'), whole_folder(file):
        raise AssertionError('the block must not run')
    with pytest.raises(PerceptionError, match=r'cannot write .*Not a directory'), \
            whole_folder(file / 'out'):
        raise AssertionError('the block must not run')
