# SPDX-License-Identifier: Apache-2.0
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from perception_nodes.pipelines.place_recognition.map_file import Makers, read_map, write_map
from perception_nodes.pipelines.place_recognition.place_map import Place, PlaceMap
from perception_nodes.types import MapError

MAKERS = Makers('d 1234', 'orb')
Arrays = dict[str, np.ndarray]


def a_map(places: int = 3) -> PlaceMap:
    rng = np.random.default_rng(0)
    made = PlaceMap()
    for index in range(places):
        descriptor = rng.normal(size=8)
        pose = np.eye(4)
        pose[0, 3] = index
        count = 2 + index
        made.add(Place(
            index * 10**9, 0, pose, (descriptor / np.linalg.norm(descriptor)).astype(np.float32),
            rng.uniform(0, 64, (count, 2)).astype(np.float32),
            rng.normal(size=(count, 4)).astype(np.float16),
            np.array([np.nan, *rng.uniform(1, 9, count - 1)], np.float32),
            np.full(count, 0.1, np.float32), np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]]),
        ))
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good map."""
    write_map(a_map(), MAKERS, tmp_path / 'map.npz')
    return tmp_path / 'map.npz'


def arrays_of(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize('places', [0, 3])
def test_a_map_comes_back(tmp_path: Path, places: int) -> None:
    write_map(a_map(places), MAKERS, tmp_path / 'm')
    found = read_map(tmp_path / 'm', MAKERS)
    assert len(found.places) == places
    for mine, its in zip(a_map(places).places, found.places, strict=True):
        for name in Place.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(mine, name), getattr(its, name))


def test_only_a_map_is_replaced(tmp_path: Path, path: Path) -> None:
    write_map(a_map(1), MAKERS, path)
    assert len(read_map(path, MAKERS).places) == 1
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])  # a damaged map is one of ours, too
    write_map(a_map(2), MAKERS, path)
    assert len(read_map(path, MAKERS).places) == 2
    other = tmp_path / 'weights.npz'
    np.savez(other, weights=np.ones(3))
    before = other.read_bytes()
    with pytest.raises(MapError, match='is not a place map'):
        write_map(a_map(), MAKERS, other)
    assert other.read_bytes() == before


def set_to(name: str, value: object, index: tuple[int, ...] = ()) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value
    return change


def header(**changes: object) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        content = {**json.loads(arrays['header'].tobytes()), **changes}
        arrays['header'] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    return change


@pytest.mark.parametrize(('change', 'told'), [
    (header(schema=2), 'another layout'),
    (header(descriptor='other'), 'made with descriptor "other"'),
    (header(places=float('inf')), 'not a whole map'),
    (header(places=10**30), 'do not fit together'),
    (header(places=-1), 'do not fit together'),
    (header(local_features=5), 'not a whole map'),
    (lambda arrays: arrays.pop('k'), "no array 'k'"),
    (set_to('count', -1, (0,)), 'do not fit|less than'),
    (set_to('session', 7, (0,)), 'belongs to no session'),
    (set_to('odom_from_base', 2.0, (1, 0, 0)), 'no rigid motion'),
    (set_to('map_from_session', np.inf, (0, 0, 3)), 'no rigid motion'),
    (set_to('descriptor', 5.0, (0, 0)), 'unit length'),
    (set_to('descriptor', np.nan, (0, 0)), 'unit length'),
    (set_to('k', -50.0, (0, 0, 0)), 'focal length'),
    (set_to('points_px', np.inf, (0, 0)), 'not finite'),
    (set_to('depth_m', -1.0, (1,)), 'negative'),
    (lambda arrays: arrays.update(depth_m=arrays['depth_m'].astype(complex)), 'of type complex'),
    (lambda arrays: arrays.update(stamp_ns=arrays['stamp_ns'] * 1.5), 'of type float'),
    (lambda arrays: arrays.update(points_px=arrays['points_px'][1:]), 'points_px is'),
    (lambda arrays: arrays.update(descriptor=arrays['descriptor'][..., None]), 'descriptor is'),
])
def test_what_cannot_be_is_refused(
    path: Path, change: Callable[[Arrays], None], told: str
) -> None:
    arrays = arrays_of(path)
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(MapError, match=told) as error:
        read_map(path, MAKERS)
    assert '\n' not in str(error.value)


def test_a_packed_map_is_refused_before_it_takes_memory(path: Path) -> None:
    arrays = arrays_of(path)
    np.savez_compressed(path, **{**arrays, 'points_px': np.zeros((1 << 20, 2), np.float32)})
    with pytest.raises(MapError, match='unpacks to'):
        read_map(path, MAKERS)
