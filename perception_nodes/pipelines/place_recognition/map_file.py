# SPDX-License-Identifier: Apache-2.0
"""A map as one .npz file: arrays without pickles and a JSON header that names its models."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.files.arrays import read_arrays
from perception_nodes.files.atomic import FileKind, write_atomically
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.geometry.se3 import is_rigid
from perception_nodes.pipelines.place_recognition.place_map import Place, PlaceMap
from perception_nodes.types import Array, MapError, PerceptionError

SCHEMA = 1
MAP = FileKind('place map', lambda head: (
    head.startswith(b'PK') and b'header.npy' in head[:64] and b'"local_features"' in head
))
ARRAYS = (
    'map_from_session', 'stamp_ns', 'session', 'count', 'odom_from_base', 'k', 'descriptor',
    'points_px', 'local_descriptors', 'depth_m', 'sigma_m',
)
UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Makers:
    """Names and hashes of the models that made the descriptors, which cannot be mixed."""

    descriptor: str
    local_features: str


@dataclass(frozen=True)
class MapHeader:
    """Header of a map: its layout, its models, and its number of places."""

    schema: int
    descriptor: str
    local_features: str
    places: int


def write_map(place_map: PlaceMap, makers: Makers, path: Path) -> None:
    """Write all or nothing; of files that are there, only a map is replaced.

    Raises
    ------
    MapError
        If the file cannot be written, or something else has that name.
    """
    places = place_map.places
    header = MapHeader(SCHEMA, makers.descriptor, makers.local_features, len(places))
    arrays: dict[str, Any] = {
        'header': np.frombuffer(to_json(header).encode(), np.uint8),
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
    try:
        write_atomically(path, buffer.getvalue(), MAP)
    except PerceptionError as error:
        raise MapError(str(error)) from None


def read_map(path: Path, makers: Makers) -> PlaceMap:
    """Read and check a map; a new session starts in it.

    Raises
    ------
    MapError
        If the file is missing, cut, of another layout, made by other models, or holds what cannot
        be: places without a session, poses that are no rigid motion, depths behind the camera.
    """
    if not path.is_file():
        raise MapError(f'no map at {path}; save one first, or correct map_path')
    try:
        # Arrays of a map are not packed: together they are no larger than the file.
        arrays = read_arrays(path, ('header', *ARRAYS), most_bytes=path.stat().st_size)
        header = decode_json(arrays['header'].tobytes(), MapHeader)
    except (PerceptionError, OSError) as error:
        raise MapError(f'{path} is not a whole map file: {error}') from None
    if header.schema != SCHEMA:
        raise MapError(f'{path} is a map of another layout; this version reads {SCHEMA}')
    for kind in ('descriptor', 'local_features'):
        made, wanted = getattr(header, kind), getattr(makers, kind)
        if made != wanted:
            raise MapError(
                f'{path} was made with {kind} "{made:.60}", not "{wanted}": '
                'use that model or record the map again'
            )
    wrong = _wrong(arrays, header.places)
    if wrong:
        raise MapError(f'{path} holds arrays that do not fit together: {wrong}')
    return _assemble(arrays, header.places)


def _wrong(arrays: dict[str, Array], count: int) -> str:
    """Say what cannot be; '' if all is well."""
    for name in ARRAYS:
        if arrays[name].dtype.kind not in ('iu' if name in ('stamp_ns', 'session', 'count')
                                           else 'f'):
            return f'{name} is of type {arrays[name].dtype}'
    counts, sessions = arrays['count'], arrays['map_from_session']
    total = int(counts.sum())
    wide = arrays['descriptor'].shape[1:]
    deep = arrays['local_descriptors'].shape[1:] if total else ()
    wanted = {
        'stamp_ns': (count,), 'session': (count,), 'count': (count,), 'k': (count, 3, 3),
        'odom_from_base': (count, 4, 4), 'descriptor': (count, *wide[:1]),
        'points_px': (total, 2), 'local_descriptors': (total, *deep[:1]), 'depth_m': (total,),
        'sigma_m': (total,),
    }
    for name, shape in wanted.items():
        empty = not total and name in ('points_px', 'local_descriptors')
        if arrays[name].shape != shape and not (empty and len(arrays[name]) == 0):
            return f'{name} is {list(arrays[name].shape)}, not {list(shape)}'
    if sessions.ndim != 3 or sessions.shape[1:] != (4, 4) or not len(sessions):
        return 'sessions have no poses'
    if count and not (0 <= arrays['session'].min() <= arrays['session'].max() < len(sessions)):
        return 'a place belongs to no session'
    if count and counts.min() < 0:
        return 'a place has less than no keypoints'
    return _impossible(arrays)


def _impossible(arrays: dict[str, Any]) -> str:
    """Say which values cannot be; '' if all can."""
    for name in ('map_from_session', 'odom_from_base'):
        poses = arrays[name]
        if not is_rigid(poses[~np.isnan(poses).all((1, 2))]).all():
            return f'{name} holds what is no rigid motion'
    lengths = np.linalg.norm(arrays['descriptor'].astype(np.float64), axis=1)
    if not (np.abs(lengths - 1) <= UNIT_TOLERANCE).all():
        return 'descriptors are not of unit length'
    for name in ('k', 'points_px', 'local_descriptors'):
        if not np.isfinite(arrays[name]).all():
            return f'{name} is not finite'
    k = arrays['k']
    if not ((k[:, 0, 0] > 0) & (k[:, 1, 1] > 0)).all():
        return 'k holds a focal length that is not positive'
    for name in ('depth_m', 'sigma_m'):
        if (arrays[name] < 0).any():
            return f'{name} holds negative values'
    return ''


def _assemble(arrays: dict[str, Any], count: int) -> PlaceMap:
    """Build the map of arrays that fit together."""
    result = PlaceMap()
    counts = arrays['count']
    result.map_from_session = list(arrays['map_from_session'].astype(np.float64))
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
