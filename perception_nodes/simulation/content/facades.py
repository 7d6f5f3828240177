# SPDX-License-Identifier: Apache-2.0
"""Images of house fronts, roofs and gables at 32 pixels a metre."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import (
    BRICKS,
    brick_tone,
    grain,
    textured,
    weathered,
)
from perception_nodes.simulation.content.textures import colour
from perception_nodes.types import Array, FloatArray

__all__ = ['PX_PER_M', 'HouseStyle', 'draw_house_style', 'front_image', 'plain_image',
           'roof_image', 'shop_sign']  # fmt: skip

PX_PER_M = 32


@dataclass(frozen=True)
class HouseStyle:
    """How a house looks: metres, RGB colours 0..255.

    Attributes
    ----------
    bricks : kind of masonry 0..3; -1 = plaster. glazing : share of a window band that is glass.
    """

    wall: FloatArray
    bricks: int
    trim: FloatArray
    frame: FloatArray
    roof: FloatArray
    floor_m: float
    window_m: tuple[float, float]
    spacing_m: float
    panes: int
    shop: bool
    band: bool


def draw_house_style(rng: np.random.Generator) -> HouseStyle:
    """Draw a house of brick, stone, plaster or glass and concrete."""
    masonry = rng.random() < 0.65
    if masonry:
        wall = np.array(BRICKS[rng.integers(len(BRICKS))]) * rng.uniform(0.75, 1.15)
    else:
        light = rng.uniform(110, 235)
        wall = light * np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.72, 1.0)])
    trim = rng.uniform(150, 240) * np.array([1, 0.98, 0.93]) if rng.random() < 0.7 else wall * 0.7
    frame = np.full(3, 235.0) if rng.random() < 0.6 else np.full(3, rng.uniform(25, 90))
    roof = (np.array([120, 70, 55]) if rng.random() < 0.5 else np.array([75, 75, 80]))
    band = rng.random() < 0.15
    width = float(rng.uniform(0.8, 1.8))
    return HouseStyle(
        wall.clip(0, 255), int(rng.integers(0, 4)) if masonry else -1, trim, frame,
        roof * rng.uniform(0.7, 1.3), float(rng.uniform(2.6, 3.6)),
        (width, float(rng.uniform(1.1, 2.0))), width + float(rng.uniform(0.5, 2.2)),
        int(rng.integers(1, 4)), bool(rng.random() < 0.35), bool(band),
    )


def plain_image(
    rng: np.random.Generator, style: HouseStyle, width_m: float, height_m: float
) -> Array:
    """Paint a wall without windows, uint8 [H, W, 3]; row 0 is the top."""
    height, width = _pixels(height_m), _pixels(width_m)
    tone = weathered(rng, height, width)
    if style.bricks >= 0:
        tone = tone + brick_tone(rng, height, width, style.bricks)
    ground = np.linspace(height_m, 0, height, dtype=np.float32)[:, None]
    tone = tone - 0.18 * np.exp(-ground / 0.5)
    return textured(style.wall, tone.astype(np.float32))


def front_image(
    rng: np.random.Generator, style: HouseStyle, width_m: float, height_m: float
) -> Array:
    """Paint a front: windows by floors, doors or a shop below, ledges, pipes."""
    image = plain_image(rng, style, width_m, height_m)
    height, width = image.shape[:2]
    floors = max(1, int(height_m / style.floor_m))
    for floor in range(1 if style.shop else 0, floors):
        base = height - _pixels(floor * style.floor_m)
        sill = base - _pixels(0.85)
        if style.band:
            _window_band(rng, image, style, sill)
        else:
            _window_row(rng, image, style, sill)
        if rng.random() < 0.3:
            _ledge(image, base, 0.15, style.trim)
    if style.shop:
        _shop(rng, image, style)
    else:
        _door(rng, image, style)
    _clutter(rng, image)
    _ledge(image, _pixels(0.3), 0.3, style.trim)
    for x in rng.integers(0, width, int(rng.integers(0, 3))):
        cv2.rectangle(image, (int(x), 0), (int(x) + 3, height), (style.wall * 0.4).tolist(), -1)
    return image


def roof_image(
    rng: np.random.Generator, style: HouseStyle, width_m: float, height_m: float
) -> Array:
    """Paint rows of tiles."""
    height, width = _pixels(height_m), _pixels(width_m)
    tone = weathered(rng, height, width) + 0.08 * grain(rng, height, width, 'rough')
    tone -= 0.18 * (np.arange(height) % 8 < 2)[:, None]
    return textured(style.roof, tone.astype(np.float32))


def shop_sign(rng: np.random.Generator, width: int, height: int) -> Array:
    """Paint a board with writing, uint8 [height, width, 3]."""
    board = np.empty((height, width, 3), np.uint8)
    board[:] = colour(rng)
    ink = (255 - board[0, 0].astype(int)).clip(0, 255)
    ink = np.full(3, 255 if ink.mean() > 127 else 15)
    letters = ''.join(chr(c) for c in rng.integers(65, 91, int(rng.integers(4, 12))))
    scale = height / 34
    cv2.putText(board, letters, (int(rng.integers(2, max(3, width // 3))), round(height * 0.8)),
                cv2.FONT_HERSHEY_DUPLEX, scale, ink.tolist(), max(1, height // 12), cv2.LINE_AA)
    return board


def _pixels(metres: float) -> int:
    return max(2, round(metres * PX_PER_M))


def _glass(rng: np.random.Generator, height: int, width: int) -> Array:
    """Glass: dark, the sky in its upper part, perhaps a curtain."""
    dark, light = rng.uniform(15, 60), rng.uniform(40, 190)
    ramp = np.linspace(light, dark, height, dtype=np.float32)[:, None]
    tone = ramp + 12 * grain(rng, height, width, 'natural')
    pane = np.repeat(tone.clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    pane[..., 2] = cv2.convertScaleAbs(pane[..., 2], alpha=1.08)
    if rng.random() < 0.35:
        drawn = int(width * rng.uniform(0.12, 0.4))
        pane[:, :drawn] = pane[:, width - drawn :] = rng.integers(120, 215)
    elif rng.random() < 0.25:
        pane[: int(height * rng.uniform(0.2, 0.7))] = rng.integers(150, 220)
    return pane


def _window(rng: np.random.Generator, style: HouseStyle, height: int, width: int) -> Array:
    pane = _glass(rng, height, width)
    frame = style.frame.tolist()
    cv2.rectangle(pane, (0, 0), (width - 1, height - 1), frame, 2)
    for part in range(1, style.panes):
        x = width * part // style.panes
        cv2.line(pane, (x, 0), (x, height), frame, 1)
    if style.panes > 1:
        cv2.line(pane, (0, height // 2), (width, height // 2), frame, 1)
    return pane


def _window_row(
    rng: np.random.Generator, image: Array, style: HouseStyle, sill: int
) -> None:
    width, height = _pixels(style.window_m[0]), _pixels(style.window_m[1])
    top = sill - height
    if top < 4:
        return
    count = int((image.shape[1] / PX_PER_M - 0.4) / style.spacing_m)
    start = (image.shape[1] - count * _pixels(style.spacing_m)) // 2
    gap = (_pixels(style.spacing_m) - width) // 2
    edge = 3
    for index in range(count):
        x = start + index * _pixels(style.spacing_m) + gap
        if x < edge or x + width + edge > image.shape[1]:
            continue
        surround = image[top - edge : sill + edge, x - edge : x + width + edge]
        surround[:] = style.trim if rng.random() < 0.9 else style.wall * 0.8
        image[top:sill, x : x + width] = _window(rng, style, height, width)
        image[top : top + 3, x : x + width] //= 2
        below = image[sill + 3 : sill + 9, x - edge : x + width + edge]
        below[:] = cv2.convertScaleAbs(below, alpha=0.6) if below.size else below


def _window_band(
    rng: np.random.Generator, image: Array, style: HouseStyle, sill: int
) -> None:
    """Glass from edge to edge, as offices have it."""
    top = sill - _pixels(style.window_m[1])
    if top < 4:
        return
    image[top:sill] = _glass(rng, sill - top, image.shape[1])
    for x in range(0, image.shape[1], _pixels(style.window_m[0])):
        cv2.line(image, (x, top), (x, sill), style.frame.tolist(), 2)


def _ledge(image: Array, row: int, thick_m: float, shade: FloatArray) -> None:
    top = max(0, row - _pixels(thick_m))
    image[top:row] = shade.clip(0, 255)
    under = image[row : row + 5]
    under[:] = cv2.convertScaleAbs(under, alpha=0.6) if under.size else under


def _shop(rng: np.random.Generator, image: Array, style: HouseStyle) -> None:
    """Ground floor of glass with a board over it."""
    height, width = image.shape[:2]
    top = height - _pixels(min(style.floor_m, 2.9))
    if top < 8:
        return
    glass = _glass(rng, height - top, width)
    for _ in range(12):  # goods, posters, people behind the glass
        low = rng.integers(0, [width, height - top])
        high = low + rng.integers(4, 40, 2)
        cv2.rectangle(glass, low.tolist(), high.tolist(), (colour(rng) * 0.6).tolist(), -1)
    image[top:] = cv2.addWeighted(image[top:], 0.1, glass, 0.9, 0)
    for x in range(0, width, _pixels(rng.uniform(1.2, 3.0))):
        cv2.line(image, (x, top), (x, height), style.frame.tolist(), 4)
    image[height - _pixels(0.4) :] = style.wall * 0.55
    board = min(_pixels(0.65), top)
    image[top - board : top] = shop_sign(rng, width, board)


def _clutter(rng: np.random.Generator, image: Array) -> None:
    """Boxes, small signs, awnings, wires: whatever is screwed to a house."""
    height, width = image.shape[:2]
    for _ in range(int(rng.poisson(width / 60))):
        size = np.rint(np.exp(rng.uniform(np.log(4), np.log(40), 2))).astype(int)
        x, y = int(rng.integers(0, width)), height - int(rng.integers(10, max(11, height // 2)))
        part = image[max(0, y - size[1]) : y, x : x + size[0]]
        part[:] = colour(rng) * rng.uniform(0.3, 1.1)
        under = image[y : y + 3, x : x + size[0]]
        under //= 2
    if rng.random() < 0.2:
        ends = rng.integers(0, [width, height], (2, 2)).tolist()
        cv2.line(image, ends[0], ends[1], (30, 30, 30), 1, cv2.LINE_AA)


def _door(rng: np.random.Generator, image: Array, style: HouseStyle) -> None:
    height, width = image.shape[:2]
    wide, tall = _pixels(1.0), _pixels(2.1)
    x = int(rng.integers(0, max(1, width - wide)))
    door = image[max(0, height - tall) :, x : x + wide]
    door[:] = style.trim
    inner = door[4:, 4:-4]
    inner[:] = colour(rng) * 0.6
    cv2.rectangle(door, (8, 8), (max(9, wide - 9), tall // 3), (40, 45, 50), -1)
