# SPDX-License-Identifier: Apache-2.0
"""The ground of a street, in square tiles: asphalt with its markings, pavement, verge."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.datasets.synthetic.materials import grain, opaque
from perception_nodes.datasets.synthetic.street_path import StreetPath
from perception_nodes.types import Array, FloatArray

__all__ = ['TILE_M', 'GroundStyle', 'SideStreet', 'draw_ground_style', 'tile_pictures']

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
    slab_grey = rng.uniform(110, 185)
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
        np.array([rng.uniform(60, 110), rng.uniform(85, 125), rng.uniform(30, 60)]),
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

    def inside(self, low: FloatArray | float, value: FloatArray, high: float) -> FloatArray:
        """Soft membership 0..1 of value in [low, high], a texel wide at the edges."""
        return (((value - low) * self.px_per_m + 0.5).clip(0, 1)
                * ((high - value) * self.px_per_m + 0.5).clip(0, 1))


def tile_pictures(
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
    size = places.along.shape[0]
    tone = 0.045 * grain(rng, size, size, 'rough') + 0.05 * grain(rng, size, size, 'soft')
    wheel = np.abs(np.abs(np.abs(places.aside) - style.lane_m / 2) - 0.75)
    tone += 0.05 * np.exp(-((wheel / 0.3) ** 2)).astype(np.float32)
    tone -= 0.12 * np.exp(-(((np.abs(places.aside) - style.road_half_m) / 0.25) ** 2))
    lengths = grain(rng, size, size, 'natural')
    tone -= 0.06 * (np.abs(lengths) < 0.012 * style.wear * 2)
    for _ in range(int(rng.integers(0, 4))):
        low, high = np.sort(rng.integers(0, size, (2, 2)), axis=0)
        high = np.minimum(high, low + rng.integers(20, 160, 2))
        patch = (slice(low[0], high[0]), slice(low[1], high[1]))
        tone[patch] += np.float32(rng.normal(-0.05, 0.12))
    factor = np.maximum(1 + tone, 0).astype(np.float32)
    road = cv2.merge([cv2.convertScaleAbs(factor, alpha=float(c)) for c in style.asphalt])
    for _ in range(int(rng.integers(0, 2))):
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
    along, aside = places.along, places.aside
    beside = np.abs(aside)
    period = style.centre_dash_m + style.centre_gap_m
    dash = places.inside(0.0, along % period, style.centre_dash_m)
    white = places.inside(-0.06, aside, 0.06) * dash
    edge = style.road_half_m - 0.3
    yellow = np.zeros_like(white)
    if style.edge_line == 'white':
        white = np.maximum(white, places.inside(edge - 0.06, beside, edge + 0.06))
    elif style.edge_line != 'none':
        yellow = places.inside(edge - 0.05, beside, edge + 0.05)
        if style.edge_line == 'double yellow':
            yellow = np.maximum(yellow, places.inside(edge - 0.25, beside, edge - 0.15))
    if style.bays and style.road_half_m - style.lane_m > 1.5:
        bay = places.inside(style.lane_m - 0.05, beside, style.lane_m + 0.05)
        bar = places.inside(0.0, along % 5.5, 0.1) * (beside > style.lane_m)
        white = np.maximum(white, np.maximum(bay * (along % 1.5 < 0.9), bar))
    for crossing in style.crossings_m:
        bars = places.inside(0.0, aside % 1.0, 0.5) * places.inside(crossing, along, crossing + 3)
        stop = places.inside(crossing - 1.8, along, crossing - 1.5) * (aside < 0)
        white = np.maximum(white, np.maximum(bars, stop))
    for side in style.sides:
        mouth = style.road_half_m
        give_way = places.inside(mouth + 0.1, beside, mouth + 0.3)
        give_way = give_way * places.on_side * (along % 1.0 < 0.6)
        white = np.maximum(white, give_way * (aside * side.side > 0))
    white[places.on_side & (beside < style.road_half_m + 0.05)] *= 0
    worn = 1 - style.wear * (0.45 + 0.4 * grain(rng, *along.shape, 'rough')).clip(0, 1)
    road_only = (beside < style.road_half_m) | places.on_side
    for share, colour in ((white, (225, 225, 220)), (yellow, (205, 170, 60))):
        weight = (share * worn * road_only * 0.92).astype(np.float32)
        road[:] = cv2.blendLinear(np.full_like(road, colour), road, weight, 1 - weight)


def _pavement(rng: np.random.Generator, places: _Places, style: GroundStyle) -> Array:
    size = places.along.shape[0]
    tone = 0.05 * grain(rng, size, size, 'rough') + 0.05 * grain(rng, size, size, 'soft')
    if style.slab_m:
        joint_along = places.along % style.slab_m < 1.3 / places.px_per_m
        joint_aside = places.aside % (style.slab_m * 0.75) < 1.3 / places.px_per_m
        slabs = (np.floor(places.along / style.slab_m) * 12.9898
                 + np.floor(places.aside / (style.slab_m * 0.75)) * 78.233)
        tone += 0.05 * np.sin(43758.5 * np.sin(slabs)).astype(np.float32)
        tone -= 0.16 * (joint_along | joint_aside)
    beside = np.abs(places.aside)
    kerbstone = places.inside(style.road_half_m - 0.1, beside, style.road_half_m + 0.14)
    tone += kerbstone * 0.2 - 0.15 * places.inside(
        style.road_half_m + 0.14, beside, style.road_half_m + 0.17
    )
    factor = np.maximum(1 + tone, 0).astype(np.float32)
    paving = cv2.merge([cv2.convertScaleAbs(factor, alpha=float(c)) for c in style.paving])
    blades = np.maximum(1 + 0.16 * grain(rng, size, size, 'rough')
                        + 0.14 * grain(rng, size, size, 'natural'), 0).astype(np.float32)
    grass = cv2.merge([cv2.convertScaleAbs(blades, alpha=float(c)) for c in style.verge])
    edge = style.road_half_m + style.pavement_m
    share = ((beside - edge) * places.px_per_m + 0.5).clip(0, 1).astype(np.float32)
    return cv2.blendLinear(grass, paving, share, 1 - share)
