# SPDX-License-Identifier: Apache-2.0
"""The line a street follows: straights and arcs in the ground plane, and coordinates along it."""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['StreetPath', 'closed_block', 'winding']

_SAMPLE_M = 0.5


@dataclass(frozen=True)
class StreetPath:
    """A centre line of arcs.

    Street coordinates are (along_m, aside_m): distance driven, and distance to the left of it.

    Attributes
    ----------
    pieces : (length in metres, curvature in 1/m, > 0 turns left) one after the other.
    closed : the end is the beginning.
    """

    pieces: tuple[tuple[float, float], ...]
    closed: bool = False
    _starts: FloatArray = field(init=False, repr=False, compare=False)
    _tree: cKDTree = field(init=False, repr=False, compare=False)
    _samples: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.pieces or min(length for length, _ in self.pieces) <= 0:
            raise PerceptionError('a street needs pieces of positive length')
        starts = [np.zeros(4)]
        for length, curvature in self.pieces:
            starts.append(_advance(starts[-1], length, curvature))
        object.__setattr__(self, '_starts', np.array(starts))
        along = np.arange(0, self.length_m, _SAMPLE_M)
        samples = np.array([self.at(s) for s in along])
        object.__setattr__(self, '_samples', np.column_stack([along, samples]))
        object.__setattr__(self, '_tree', cKDTree(samples[:, :2]))

    @property
    def length_m(self) -> float:
        """Length of the whole line."""
        return float(sum(length for length, _ in self.pieces))

    def at(self, along_m: float, aside_m: float = 0.0) -> FloatArray:
        """Return (x, y, heading) of a place; an open street is extended straight on.
        """
        if self.closed:
            along_m = along_m % self.length_m
        index = int(np.searchsorted(self._starts[1:-1, 3], along_m, side='right'))
        length, curvature = self.pieces[index]
        start = self._starts[index]
        inside = along_m - start[3]
        if 0 <= inside <= length:
            x, y, heading, _ = _advance(start, inside, curvature)
        else:
            edge = _advance(start, 0.0 if inside < 0 else length, curvature)
            x, y, heading, _ = _advance(edge, inside - (0.0 if inside < 0 else length), 0.0)
        return np.array([
            x - aside_m * np.sin(heading), y + aside_m * np.cos(heading), heading
        ])

    def world_from_street(
        self, along_m: float, aside_m: float = 0.0, turn_rad: float = 0.0
    ) -> FloatArray:
        """Pose at a place: x along the street (turned to the left by turn_rad), y left, z up."""
        x, y, heading = self.at(along_m, aside_m)
        c, s = np.cos(heading + turn_rad), np.sin(heading + turn_rad)
        return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1.0]])

    def street_coordinates(self, xy_m: FloatArray) -> FloatArray:
        """Street coordinates (along_m, aside_m) of points [..., 2] of the ground plane."""
        flat = np.asarray(xy_m, np.float64).reshape(-1, 2)
        _, index = self._tree.query(flat)
        along, x, y, heading = self._samples[index].T
        dx, dy = flat[:, 0] - x, flat[:, 1] - y
        c, s = np.cos(heading), np.sin(heading)
        found = np.stack([along + c * dx + s * dy, c * dy - s * dx], -1)
        return found.reshape(*np.shape(xy_m)[:-1], 2)


def closed_block(
    long_m: float = 90.0, wide_m: float = 55.0, radius_m: float = 14.0
) -> StreetPath:
    """Go around a block: two long and two short straights, four left turns."""
    turn = (np.pi / 2 * radius_m, 1 / radius_m)
    half = long_m / 2
    pieces = ((half, 0.0), turn, (wide_m, 0.0), turn, (long_m, 0.0), turn, (wide_m, 0.0), turn,
              (half, 0.0))
    return StreetPath(pieces, closed=True)


def winding(rng: np.random.Generator, length_m: float) -> StreetPath:
    """Draw an open street: straights and wide bends."""
    pieces: list[tuple[float, float]] = []
    while sum(length for length, _ in pieces) < length_m:
        bend = float(rng.normal(0, 0.008)) if rng.random() < 0.55 else 0.0
        if rng.random() < 0.15:
            bend = float(rng.choice([-1, 1]) * rng.uniform(0.02, 0.045))
        pieces.append((float(rng.uniform(15, 45)), bend))
    return StreetPath(tuple(pieces))


def _advance(state: FloatArray, length_m: float, curvature: float) -> FloatArray:
    x, y, heading, along = state
    turn = curvature * length_m
    if abs(turn) < 1e-9:
        forward, left = length_m, 0.5 * curvature * length_m**2
    else:
        forward, left = np.sin(turn) / curvature, (1 - np.cos(turn)) / curvature
    c, s = np.cos(heading), np.sin(heading)
    return np.array([
        x + c * forward - s * left, y + s * forward + c * left, heading + turn, along + length_m
    ])
