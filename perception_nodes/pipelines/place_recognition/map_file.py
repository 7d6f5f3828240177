# SPDX-License-Identifier: Apache-2.0
"""A map as one .npz file: arrays without pickles and a JSON header that says what made it."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.files import write_atomically
from perception_nodes.pipelines.place_recognition.place_map import Place, PlaceMap
from perception_nodes.types import PerceptionError

SCHEMA = 1


@dataclass(frozen=True)
class Makers:
    """Names and hashes of the models that made the descriptors, which cannot be mixed."""

    descriptor: str
    local_features: str


def write_map(place_map: PlaceMap, makers: Makers, path: Path) -> None:
    """Write all or nothing.

    Raises
    ------
    PerceptionError
        If the file cannot be written.
    """
    places = place_map.places
    header = {
        'schema': SCHEMA, 'descriptor': makers.descriptor, 'local_features':
        makers.local_features, 'places': len(places),
    }
    arrays: dict[str, Any] = {
        'header': np.frombuffer(json.dumps(header).encode(), np.uint8),
        'map_from_session': np.stack(place_map.map_from_session),
        'stamp_ns': np.array([place.stamp_ns for place in places], np.int64),
        'session': np.array([place.session for place in places], np.int32),
        'count': np.array([len(place.points_px) for place in places], np.int32),
        'odom_from_base': _stack([place.odom_from_base for place in places], (4, 4)),
        'k': _stack([place.k for place in places], (3, 3)),
        'descriptor': _stack([place.descriptor for place in places], (0,), np.float32),
    }
    for name in ('points_px', 'local_descriptors', 'depth_m', 'sigma_m'):
        parts = [getattr(place, name) for place in places]
        arrays[name] = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_map(path: Path, makers: Makers) -> PlaceMap:
    """Read and check a map; a new session begins in it.

    Raises
    ------
    PerceptionError
        If the file is missing, cut, of another layout, or made by other models.
    """
    if not path.is_file():
        raise PerceptionError(f'no map at {path}; save one first, or correct map_path')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(bytes(arrays['header']).decode())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PerceptionError(f'{path} is not a whole map file: {error}') from None
    if not isinstance(header, dict) or header.get('schema') != SCHEMA:
        raise PerceptionError(f'{path} is a map of another layout; this version reads {SCHEMA}')
    for kind, wanted in (
        ('descriptor', makers.descriptor), ('local_features', makers.local_features)
    ):
        if header.get(kind) != wanted:
            raise PerceptionError(
                f'{path} was made with {kind} "{header.get(kind)}", not "{wanted}": '
                'use that model or record the map again'
            )
    try:
        return _assemble(arrays, int(header['places']))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise PerceptionError(f'{path} holds arrays that do not fit together: {error}') from None


def _assemble(arrays: dict[str, Any], count: int) -> PlaceMap:
    """Build the map; ValueError if sizes or values are wrong."""
    result = PlaceMap()
    counts, sessions = arrays['count'], arrays['map_from_session']
    total = int(counts.sum())
    wanted = {
        'stamp_ns': (count,), 'session': (count,), 'count': (count,), 'k': (count, 3, 3),
        'odom_from_base': (count, 4, 4),
    }
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ValueError(f'{name} is {arrays[name].shape}, not {shape}')
    for name in ('points_px', 'local_descriptors', 'depth_m', 'sigma_m'):
        if len(arrays[name]) != total:
            raise ValueError(f'{name} has {len(arrays[name])} rows, not {total}')
    if sessions.ndim != 3 or sessions.shape[1:] != (4, 4) or not len(sessions):
        raise ValueError('sessions have no poses')
    if count and not (0 <= arrays['session'].min() <= arrays['session'].max() < len(sessions)):
        raise ValueError('a place belongs to no session')
    if not np.isfinite(arrays['descriptor']).all():
        raise ValueError('descriptors are not finite')
    result.map_from_session = list(sessions.astype(np.float64))
    ends = np.cumsum(counts)
    for i in range(count):
        part = slice(int(ends[i] - counts[i]), int(ends[i]))
        result.add(Place(
            int(arrays['stamp_ns'][i]), int(arrays['session'][i]), arrays['odom_from_base'][i],
            arrays['descriptor'][i], arrays['points_px'][part],
            arrays['local_descriptors'][part], arrays['depth_m'][part], arrays['sigma_m'][part],
            arrays['k'][i],
        ))
    result.begin_session()
    return result


def _stack(arrays: list[Any], shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    return np.stack(arrays).astype(dtype) if arrays else np.zeros((0, *shape), dtype)
