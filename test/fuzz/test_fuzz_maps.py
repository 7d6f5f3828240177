# SPDX-License-Identifier: Apache-2.0
"""Maps of places that were damaged, as bytes and array by array."""

import io
import json
import random
from pathlib import Path

import numpy as np
from fuzzing import damaged_bytes, damaged_json, fuzz, require_none

from perception_nodes.pipelines.place_recognition.map_file import Makers, read_map, write_map
from perception_nodes.pipelines.place_recognition.place_map import Place, PlaceMap

MAKERS = Makers('d', 'f')
DTYPES = ('f2', 'f4', 'f8', 'i1', 'i4', 'u8', 'c8', '?', 'U3', 'M8[s]', 'V4')


def a_map() -> PlaceMap:
    made = PlaceMap()
    for index in range(4):
        pose = np.eye(4)
        pose[0, 3] = index
        descriptor = np.eye(8, dtype=np.float32)[index]
        made.add(Place(
            index, 0, pose, descriptor, np.full((3, 2), index, np.float32),
            np.ones((3, 5), np.float16), np.array([1, 2, np.nan], np.float32),
            np.full(3, 0.1, np.float32), np.diag([50.0, 50, 1]),
        ))
    return made


def test_maps(tmp_path: Path) -> None:
    """A map that is accepted can be searched, added to and saved."""
    path = tmp_path / 'm.npz'
    write_map(a_map(), MAKERS, path)
    good = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)

    def target(rng: random.Random) -> None:
        path.write_bytes(damaged_bytes(rng, good) if rng.random() < 0.4
                         else damaged_arrays(rng, arrays))
        found = read_map(path, MAKERS)
        for place in found.places:
            assert np.isfinite(place.points_px).all()
            assert abs(np.linalg.norm(place.descriptor) - 1) < 0.02
            assert not (place.depth_m < 0).any()
        if found.places:
            width = len(found.places[0].descriptor)
            found.nearest(np.ones(width, np.float32), 3, -1.0, stamp_ns=0, recency_ns=0)
            found.map_from_base(0)
        write_map(found, MAKERS, tmp_path / 'again.npz')
        assert len(read_map(tmp_path / 'again.npz', MAKERS).places) == len(found.places)

    require_none(fuzz('map', target, 200))


def damaged_arrays(rng: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    """Change types, shapes, values and headers; pack, drop and add arrays."""
    made = dict(arrays)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(sorted(made))
        array, kind = made[name], rng.randrange(9)
        if kind == 0:
            with np.errstate(all='ignore'):
                made[name] = array.astype(rng.choice(DTYPES[:7]))
        elif kind == 1:
            made[name] = np.zeros(array.shape, rng.choice(DTYPES))
        elif kind == 2:
            made[name] = array[: rng.randint(0, len(array))]
        elif kind == 3:
            made[name] = np.asfortranarray(array.reshape(array.shape[::-1]))
        elif kind == 4 and array.size and array.dtype.kind == 'f':
            array = array.copy()
            array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -1, 0, 6e4))
            made[name] = array
        elif kind == 5 and array.size and array.dtype.kind in 'iu':
            array = array.copy()
            array.flat[rng.randrange(array.size)] = rng.choice((0, 1, 100, 127))
            made[name] = array
        elif kind == 6:
            made.pop(name)
        elif kind == 7:
            made['header'] = np.frombuffer(
                damaged_json(rng, json.loads(arrays['header'].tobytes())), np.uint8)
        else:
            made[name] = array[None]
        if not made:
            break
    buffer = io.BytesIO()
    (np.savez_compressed if rng.random() < 0.2 else np.savez)(buffer, **made)
    return buffer.getvalue()
