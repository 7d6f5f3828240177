# SPDX-License-Identifier: Apache-2.0
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from perception_nodes.files.arrays import read_arrays
from perception_nodes.types import PerceptionError


def archive(tmp_path: Path, **arrays: object) -> Path:
    path = tmp_path / 'a.npz'
    np.savez(path, **arrays)
    return path


def test_arrays_come_back_whole_and_may_be_changed(tmp_path: Path) -> None:
    matrix = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    path = archive(tmp_path, a=matrix, b=np.float16(2), c=np.zeros((0, 3)))
    found = read_arrays(path, ('a', 'b', 'c'))
    np.testing.assert_array_equal(found['a'], matrix)
    assert (found['b'].shape, found['c'].shape) == ((), (0, 3))
    found['a'][0, 0] = 5.0


def test_what_it_says_of_itself_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='more than the arrays'):
        read_arrays(archive(tmp_path, a=np.ones(3), b=np.ones(3)), 'a')
    with pytest.raises(PerceptionError, match='no array'):
        read_arrays(archive(tmp_path, a=np.ones(3)), 'b')
    with pytest.raises(PerceptionError, match='no numbers'):
        read_arrays(archive(tmp_path, a=np.array([{}], dtype=object)), 'a')
    packed = tmp_path / 'bomb.npz'
    np.savez_compressed(packed, a=np.zeros(1 << 20))
    with pytest.raises(PerceptionError, match='unpacks to 8388736 bytes'):
        read_arrays(packed, 'a', most_bytes=packed.stat().st_size)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '<f8', 'fortran_order': False, 'shape': (1 << 40,)}
    )
    with zipfile.ZipFile(tmp_path / 'shape.npz', 'w') as file:
        file.writestr('a.npy', header.getvalue() + bytes(8))
    with pytest.raises(PerceptionError, match='as its shape requires'):
        read_arrays(tmp_path / 'shape.npz', 'a')


def test_any_damage_is_one_error(tmp_path: Path) -> None:
    good = archive(tmp_path, a=np.arange(100)).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), 3):
            bad[at] = rng.integers(256)
        path = tmp_path / 'bad.npz'
        path.write_bytes(bytes(bad[: rng.integers(1, len(bad) + 1)]))
        try:
            read_arrays(path, 'a')
        except PerceptionError as error:
            assert '\n' not in str(error)
    with pytest.raises(PerceptionError, match='missing'):
        read_arrays(tmp_path, 'a')
