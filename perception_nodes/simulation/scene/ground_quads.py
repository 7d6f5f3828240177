# SPDX-License-Identifier: Apache-2.0
"""The ground as quads: tiles that are painted when somebody looks, kerbs, and the land beyond."""

from collections.abc import Callable

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain, opaque, textured
from perception_nodes.simulation.scene.assembly import Assembly, lit_image
from perception_nodes.simulation.scene.ground import (
    PAVEMENT,
    TILE_M,
    VERGE,
    GroundStyle,
    tile_images,
)
from perception_nodes.simulation.scene.light import Light
from perception_nodes.simulation.scene.quads import GROUND, Surface
from perception_nodes.simulation.scene.street_path import StreetPath
from perception_nodes.types import Array, FloatArray

__all__ = ['PX_PER_M', 'add_ground']

PX_PER_M = 32
_REACH_M = 9.0
_BEYOND_M = 60.0
_KERB_M = 2.0


class _Tile(Surface):
    """A surface that is painted when it is first looked at.

    The raised layer is transparent where the road is; painting both costs once.
    """

    def __init__(self, paint: Callable[[], tuple[Array, Array]]) -> None:
        self._paint = paint
        self._levels: list[Array] = []
        self.opaque = False

    @property
    def levels(self) -> list[Array]:  # type: ignore[override]
        """Texture and smaller copies made so far."""
        if not self._levels:
            rgba, self._labels = self._paint()
            self._levels.append(np.ascontiguousarray(rgba))
            self.opaque = bool(rgba[..., 3].min() == 255)
        return self._levels

    @property
    def labels(self) -> Array:  # type: ignore[override]
        """Class ids uint8 [H, W]."""
        _ = self.levels
        return self._labels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels; known without painting."""
        side = round(TILE_M * PX_PER_M)
        return side, side


def add_ground(seed: int, world: Assembly, path: StreetPath, style: GroundStyle) -> None:
    """Add tiles along the street, its kerbs and a plane of grass under everything."""
    # What a tile keeps must not lead back to it: worlds would outlive their use.
    light, shadows = world.light, world.shadows
    for row, column in _tiles_along(path, style):
        corner = np.array([column, row]) * TILE_M
        painted: dict[str, tuple[Array, ...]] = {}

        def paint(
            layer: int, corner: FloatArray = corner, tile: tuple[int, int] = (row, column),
            painted: dict[str, tuple[Array, ...]] = painted,
        ) -> tuple[Array, Array]:
            if 'both' not in painted:
                # Tiles may have negative indices, seeds may not.
                rng = np.random.default_rng([seed, 103, tile[0] + 4096, tile[1] + 4096])
                painted['both'] = _painted(rng, light, shadows, path, style, corner)
            both = painted['both']
            return both[2 * layer], both[2 * layer + 1]

        for layer, height in ((0, 0.0), (1, style.kerb_m)):
            world.add(
                np.eye(4), np.array([*corner, height]), np.array([TILE_M, 0, 0]),
                np.array([0, TILE_M, 0]), _Tile(lambda layer=layer, paint=paint: paint(layer)),
                PAVEMENT, 0, order=GROUND,
            )
    _add_kerbs(seed, world, path, style)
    _add_land(seed, world, path, style)


def _tiles_along(path: StreetPath, style: GroundStyle) -> list[tuple[int, int]]:
    start, end = (0.0, path.length_m) if path.closed else (-_BEYOND_M, path.length_m + _BEYOND_M)
    reach = style.road_half_m + style.pavement_m + _REACH_M
    tiles = set()
    for along in np.arange(start, end, 4.0):
        for aside in np.arange(-reach, reach + 0.1, 4.0):
            x, y, _ = path.at(along, aside)
            tiles.add((int(np.floor(y / TILE_M)), int(np.floor(x / TILE_M))))
    return sorted(tiles)


def _painted(
    rng: np.random.Generator, light: Light, shadows: list[FloatArray], path: StreetPath,
    style: GroundStyle, corner: FloatArray,
) -> tuple[Array, Array, Array, Array]:
    up = np.array([0, 0, 1.0])
    images = tile_images(
        rng, path, style, corner, PX_PER_M,
        _shadow_on(shadows, corner, light.shadow(up)),
    )
    road, raised = (lit_image(light, p, up) for p in (images[0], images[2]))
    return road, images[1], raised, images[3]


def _shadow_on(
    shadows: list[FloatArray], corner: FloatArray, left_over: FloatArray
) -> FloatArray | None:
    """Light that is left on a tile, float32 [N, N, 3], or None if the sun reaches all of it."""
    size = round(TILE_M * PX_PER_M)
    mask = np.zeros((size, size), np.uint8)
    for polygon in shadows:
        low, high = polygon.min(0), polygon.max(0)
        if (high < corner).any() or (low > corner + TILE_M).any():
            continue
        cv2.fillPoly(mask, [np.rint((polygon - corner) * PX_PER_M).astype(np.int32)], 255)
    if not mask.any():
        return None
    share = cv2.GaussianBlur(mask, (0, 0), 3.0).astype(np.float32) / 255
    return cv2.merge([1 - share * np.float32(1 - c) for c in left_over])


def _add_kerbs(seed: int, world: Assembly, path: StreetPath, style: GroundStyle) -> None:
    """Add the upright faces of the kerbs, a piece every two metres."""
    rng = np.random.default_rng([seed, 104])
    start, end = (0.0, path.length_m) if path.closed else (-_BEYOND_M, path.length_m + _BEYOND_M)
    shade = style.paving * rng.uniform(0.8, 1.15)
    images = [opaque(textured(shade, 0.1 * grain(rng, 8, 64, 'rough'))) for _ in range(4)]
    surfaces = {side: [world.lit(p, _normal(side)) for p in images] for side in (1, -1)}
    for index, along in enumerate(np.arange(start, end, _KERB_M)):
        for side in (1, -1):
            if any(s.side == side and abs(along + 1 - s.along_m) < s.half_width_m + 0.8
                   for s in style.sides):
                continue
            ends = [path.at(s, side * style.road_half_m)[:2] for s in (along, along + _KERB_M)]
            across = np.array([*(ends[1] - ends[0]), 0.0])
            origin = np.array([*ends[0], style.kerb_m])
            world.add(np.eye(4), origin, across, np.array([0, 0, -style.kerb_m]),
                      surfaces[side][index % 4], PAVEMENT, 0, far_m=70.0)


def _normal(side: int) -> FloatArray:
    return np.array([0.0, -side * 0.4, 0.6])


def _add_land(seed: int, world: Assembly, path: StreetPath, style: GroundStyle) -> None:
    rng = np.random.default_rng([seed, 105])
    places = np.array([path.at(s)[:2] for s in np.arange(0, path.length_m, 5.0)])
    low, high = places.min(0) - 260, places.max(0) + 260
    tone = 0.1 * grain(rng, 512, 512, 'rough') + 0.15 * grain(rng, 512, 512, 'natural')
    image = opaque(textured(style.verge, tone))
    across, down = np.array([high[0] - low[0], 0, 0]), np.array([0, high[1] - low[1], 0])
    world.add(np.eye(4), np.array([*low, -0.03]), across, down, image, VERGE, 0, order=GROUND)
