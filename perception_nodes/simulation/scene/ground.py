# SPDX-License-Identifier: Apache-2.0
"""The ground of a street, in square tiles: asphalt with its markings, pavement, verge."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain, opaque, textured
from perception_nodes.simulation.scene.street_path import StreetPath
from perception_nodes.types import Array, FloatArray

__all__ = ['TILE_M', 'GroundStyle', 'SideStreet', 'draw_ground_style', 'tile_images']

ROAD, PAVEMENT, VERGE = 3, 4, 5
TILE_M = 16.0
_COARSE = 8


@dataclass(frozen=True)
class SideStreet:
    """A road that leaves at along_m to one side (+1 left, -1 right)."""

    along_m: float
    side: int
    half_width_m: float


@dataclass(frozen=True)
class GroundStyle:
    """Widths in metres and looks of a street's ground.

    Attributes
    ----------
    road_half_m : from the centre line to the kerb. pavement_m : width of the pavement.
    lane_m : width of a driving lane; what is left of the road is for parking.
    """

    road_half_m: float
    lane_m: float
    pavement_m: float
    kerb_m: float
    asphalt: FloatArray
    paving: FloatArray
    verge: FloatArray
    slab_m: float
    centre_dash_m: float
    centre_gap_m: float
    edge_line: str
    bays: bool
    wear: float
    crossings_m: tuple[float, ...]
    sides: tuple[SideStreet, ...]


def draw_ground_style(
    rng: np.random.Generator, length_m: float, *, side_streets: bool = True
) -> GroundStyle:
    """Draw widths, colours and markings."""
    lane = rng.uniform(2.7, 3.7)
    parking = float(rng.choice([0.0, 0.3, 2.1]))
    grey = rng.uniform(62, 135)
    slab_grey = rng.uniform(70, 150)
    count = int(rng.poisson(length_m / 70)) if side_streets else 0
    sides = tuple(
        SideStreet(float(s), int(rng.choice([-1, 1])), float(rng.uniform(2.6, 4.0)))
        for s in rng.uniform(10, length_m - 10, count)
    )
    crossings = rng.uniform(15, length_m - 5, int(rng.poisson(length_m / 120)))
    return GroundStyle(
        lane + parking, lane, float(rng.uniform(1.6, 4.0)), float(rng.uniform(0.06, 0.15)),
        grey * np.array([1.0, 1.0, rng.uniform(0.95, 1.06)]),
        slab_grey * np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.8, 0.98)]),
        rng.uniform(75, 125) * np.array([rng.uniform(0.75, 1.1), 1.0, rng.uniform(0.4, 0.7)]),
        float(rng.choice([0.0, 0.3, 0.6, 0.9])), float(rng.uniform(1.5, 4)),
        float(rng.uniform(2, 6)), str(rng.choice(['none', 'white', 'double yellow', 'yellow'])),
        bool(rng.random() < 0.6), float(rng.uniform(0.1, 0.7)), tuple(map(float, crossings)),
        sides,
    )


@dataclass(frozen=True)
class _Places:
    """Street coordinates of a tile's texels: along, aside float32 [N, N] m; on side streets."""

    along: FloatArray
    aside: FloatArray
    on_side: Array
    px_per_m: float

    def inside(self, low: float, value: FloatArray, high: float) -> FloatArray:
        """Soft membership 0..1 of value in [low, high], a texel wide at the edges."""
        middle, half = (low + high) / 2, (high - low) / 2 * self.px_per_m + 0.5
        away: FloatArray = np.abs(value - np.float32(middle))
        away *= np.float32(-self.px_per_m)
        away += np.float32(half)
        return np.clip(away, 0, 1, out=away)


def tile_images(
    rng: np.random.Generator, path: StreetPath, style: GroundStyle, corner_m: FloatArray,
    px_per_m: float, shadow: FloatArray | None,
) -> tuple[Array, Array, Array, Array]:
    """Paint a tile whose corner (smallest x, y) is given.

    Parameters
    ----------
    shadow : float32 [N, N, 3] light that is left, 1 = in the sun; None = no shadows.

    Returns
    -------
    road rgba uint8 [N, N, 4] and labels [N, N]; raised pavement rgba and labels, transparent where
    the road is. Row 0 is at the smallest y.
    """
    places = _places(path, style, corner_m, px_per_m)
    off_road = _off_road(places, style)
    road = _asphalt(rng, places, style)
    _paint_markings(rng, road, places, style)
    raised = _pavement(rng, places, style)
    beyond = np.abs(places.aside) > style.road_half_m + style.pavement_m
    beyond &= ~places.on_side
    raised_labels = np.where(beyond, VERGE, PAVEMENT).astype(np.uint8)
    if shadow is not None:
        road = cv2.multiply(road, shadow, dtype=cv2.CV_8U)
        raised = cv2.multiply(raised, shadow, dtype=cv2.CV_8U)
    raised_rgba = opaque(raised)
    raised_rgba[..., 3] = np.rint(255 * off_road)
    return opaque(road), np.full(beyond.shape, ROAD, np.uint8), raised_rgba, raised_labels


def _places(
    path: StreetPath, style: GroundStyle, corner_m: FloatArray, px_per_m: float
) -> _Places:
    size = round(TILE_M * px_per_m)
    steps = (np.arange(size // _COARSE + 2) * _COARSE - _COARSE / 2 + 0.5) / px_per_m
    x, y = np.meshgrid(corner_m[0] + steps, corner_m[1] + steps)
    coordinates = path.street_coordinates(np.stack([x, y], -1))
    if path.closed:  # continuous inside the tile, also where the street closes
        middle = coordinates[len(steps) // 2, len(steps) // 2, 0]
        half = path.length_m / 2
        coordinates[..., 0] = (coordinates[..., 0] - middle + half) % path.length_m - half + middle
    grow = np.array([[_COARSE, 0, -0.0], [0, _COARSE, 0]], np.float64)
    grow[:, 2] = -_COARSE / 2 + 0.0
    along, aside = (
        cv2.warpAffine(coordinates[..., i].astype(np.float32), grow, (size, size),
                       borderMode=cv2.BORDER_REPLICATE)
        for i in (0, 1)
    )
    on_side = np.zeros((size, size), bool)
    for side in style.sides:
        on_side |= (np.abs(along - side.along_m) < side.half_width_m) & (aside * side.side > 0)
    return _Places(along, aside, on_side, px_per_m)


def _off_road(places: _Places, style: GroundStyle) -> FloatArray:
    off: FloatArray = 1 - places.inside(-style.road_half_m, places.aside, style.road_half_m)
    off[places.on_side] = 0
    return off


def _asphalt(rng: np.random.Generator, places: _Places, style: GroundStyle) -> Array:
    """Asphalt: grain, blotches, wheel tracks, repairs, cracks, manholes."""
    size = places.along.shape[0]
    tone = 0.06 * grain(rng, size, size, 'rough')
    tone += np.float32(0.07) * grain(rng, size, size, 'soft')
    beside = np.abs(places.aside)
    wheel = np.abs(np.abs(beside - style.lane_m / 2) - 0.75)
    tone += np.maximum(0.05 - 0.12 * wheel, 0)
    tone -= np.maximum(0.14 - 0.4 * np.abs(beside - style.road_half_m), 0)
    for _ in range(int(rng.integers(0, 5))):
        low, high = np.sort(rng.integers(0, size, (2, 2)), axis=0)
        high = np.minimum(high, low + rng.integers(20, 160, 2))
        patch = (slice(low[0], high[0]), slice(low[1], high[1]))
        tone[patch] += np.float32(rng.normal(-0.05, 0.13))
    for _ in range(int(rng.poisson(2.5 * style.wear + 0.4))):
        steps = rng.normal(0, 6, (40, 2)) + rng.normal(0, 5, 2)
        line = np.rint(rng.uniform(0, size, 2) + np.cumsum(steps, 0)).astype(np.int32)
        dark, thick = float(rng.uniform(-0.35, -0.1)), int(rng.integers(1, 3))
        cv2.polylines(tone, [line], False, dark, thick)
    road = textured(style.asphalt, tone)
    for _ in range(int(rng.integers(0, 3))):
        at = tuple(rng.integers(0, size, 2).tolist())
        radius = round(0.32 * places.px_per_m)
        shade = (0.6 * style.asphalt).tolist()
        cv2.circle(road, at, radius, shade, -1, cv2.LINE_AA)
        cv2.circle(road, at, radius, (1.3 * style.asphalt).clip(0, 255).tolist(), 1, cv2.LINE_AA)
    return road


def _paint_markings(
    rng: np.random.Generator, road: Array, places: _Places, style: GroundStyle
) -> None:
    """Paint lines onto the road, worn here and there."""
    along, beside = places.along, np.abs(places.aside)
    if beside.min() > style.road_half_m and not places.on_side.any():
        return
    white, yellow = _lines(places, style, beside)
    if style.bays and style.road_half_m - style.lane_m > 1.5:
        bay = places.inside(style.lane_m - 0.05, beside, style.lane_m + 0.05)
        bar = places.inside(0.0, along % 5.5, 0.1) * (beside > style.lane_m)
        white = np.maximum(white, np.maximum(bay * (along % 1.5 < 0.9), bar))
    for crossing in style.crossings_m:
        if along.min() < crossing + 3 and along.max() > crossing - 2:
            bars = places.inside(0.0, places.aside % 1.0, 0.5)
            bars *= places.inside(crossing, along, crossing + 3)
            stop = places.inside(crossing - 1.8, along, crossing - 1.5) * (places.aside < 0)
            white = np.maximum(white, np.maximum(bars, stop))
    if places.on_side.any():
        mouth = style.road_half_m
        give_way = places.inside(mouth + 0.1, beside, mouth + 0.3) * (along % 1.0 < 0.6)
        white = np.where(places.on_side, give_way, white)
    worn = 1 - style.wear * (0.45 + 0.4 * grain(rng, *along.shape, 'rough')).clip(0, 1)
    worn *= 0.92 * ((beside < style.road_half_m) | places.on_side)
    for share, colour in ((white, (225, 225, 220)), (yellow, (205, 170, 60))):
        if share is not None:
            weight = (share * worn).astype(np.float32)
            paint = np.empty_like(road)
            paint[:] = colour
            road[:] = cv2.blendLinear(paint, road, weight, 1 - weight)


def _lines(
    places: _Places, style: GroundStyle, beside: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """Share of white and of yellow paint of the lines along the road."""
    period = style.centre_dash_m + style.centre_gap_m
    white = places.inside(-0.06, places.aside, 0.06)
    white *= places.inside(0.0, places.along % period, style.centre_dash_m)
    edge = style.road_half_m - 0.3
    if style.edge_line == 'none':
        return white, None
    line = places.inside(edge - 0.06, beside, edge + 0.06)
    if style.edge_line == 'white':
        return np.maximum(white, line), None
    if style.edge_line == 'double yellow':
        line = np.maximum(line, places.inside(edge - 0.25, beside, edge - 0.15))
    return white, line


def _pavement(rng: np.random.Generator, places: _Places, style: GroundStyle) -> Array:
    """Slabs with joints and a kerbstone; grass where the pavement ends."""
    size = places.along.shape[0]
    beside = np.abs(places.aside)
    edge = style.road_half_m + style.pavement_m
    grass = np.zeros((size, size, 3), np.uint8)
    if beside.max() > edge:
        blades = 0.16 * grain(rng, size, size, 'rough') + 0.14 * grain(rng, size, size, 'natural')
        grass = textured(style.verge, blades)
    if beside.min() > edge:
        return grass
    tone = 0.06 * grain(rng, size, size, 'rough') + 0.07 * grain(rng, size, size, 'soft')
    if style.slab_m:
        row, column = places.along / style.slab_m, places.aside / (style.slab_m * 0.75)
        row_index, column_index = np.floor(row), np.floor(column)
        joint = np.float32(1.3 / places.px_per_m / style.slab_m)
        tones = np.random.default_rng(5).normal(0, 0.05, (64, 64)).astype(np.float32)
        tone += tones[row_index.astype(np.int32) % 64, column_index.astype(np.int32) % 64]
        tone -= 0.16 * ((row - row_index < joint) | (column - column_index < joint * 1.33))
    kerbstone = places.inside(style.road_half_m - 0.1, beside, style.road_half_m + 0.14)
    tone += kerbstone * np.float32(0.2)
    tone -= 0.15 * (np.abs(beside - style.road_half_m - 0.16) < 0.02)
    paving = textured(style.paving, tone)
    share = ((beside - edge) * places.px_per_m + 0.5).clip(0, 1).astype(np.float32)
    return cv2.blendLinear(grass, paving, share, 1 - share)
