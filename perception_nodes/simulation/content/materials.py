# SPDX-License-Identifier: Apache-2.0
"""What the world's surfaces are made of: grain, brick, foliage, branches, cut from pools.

Drawing noise costs most of a texture, so it is drawn once a process and cut at random places.
"""

from functools import cache, lru_cache

import cv2
import numpy as np

from perception_nodes.simulation.content.textures import fractal_noise
from perception_nodes.types import Array, FloatArray

__all__ = [
    'BRICKS', 'branches', 'brick_tone', 'grain', 'leaf_clump', 'opaque', 'textured', 'weathered',
]  # fmt: skip

_POOL_PX = 1024
_PERSISTENCE = {'soft': 0.45, 'natural': 0.62, 'rough': 0.85}

BRICKS = (
    (140, 82, 62), (120, 66, 52), (168, 138, 100), (186, 158, 122), (150, 120, 96), (98, 72, 62),
    (205, 190, 165), (172, 100, 76),
)  # fmt: skip
"""Colours RGB of bricks and stones."""


@cache
def _pool(kind: str) -> FloatArray:
    rng = np.random.default_rng([17, list(_PERSISTENCE).index(kind)])
    noise = fractal_noise(rng, _POOL_PX, _POOL_PX, persistence=_PERSISTENCE[kind])
    noise.setflags(write=False)
    return noise


def grain(
    rng: np.random.Generator, height: int, width: int, kind: str = 'natural'
) -> FloatArray:
    """Noise of zero mean and unit deviation, float32 [height, width]; soft, natural or rough."""
    pool = _pool(kind)
    if height > _POOL_PX or width > _POOL_PX:
        times = max(-(-height // _POOL_PX), -(-width // _POOL_PX))
        small = grain(rng, -(-height // times), -(-width // times), kind)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = (int(rng.integers(0, _POOL_PX - n + 1)) for n in (height, width))
    patch = pool[y : y + height, x : x + width]
    patch = patch[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]
    return np.ascontiguousarray(patch)


def textured(colour: FloatArray, tone: FloatArray) -> Array:
    """Paint with a colour whose brightness follows a tone (0 = as it is), uint8 [H, W, 3]."""
    factor = np.maximum(1 + tone, 0).astype(np.float32)
    return cv2.merge([cv2.convertScaleAbs(factor, alpha=float(c)) for c in colour])


def opaque(rgb: Array) -> Array:
    """Add a solid alpha channel."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)


@cache
def _brick_pool(kind: int) -> FloatArray:
    """Brightness of a wall of bricks or stones, float32 [1024, 1024] at 32 px a metre."""
    rng = np.random.default_rng([23, kind])
    long_px, high_px = ((7, 3), (13, 6), (24, 11), (9, 4))[kind]
    rows, columns = _POOL_PX // high_px + 1, _POOL_PX // long_px + 2
    tones = rng.normal(0, (0.17, 0.18, 0.15, 0.24)[kind], (rows, columns)).astype(np.float32)
    tone = np.repeat(np.repeat(tones, high_px, 0), long_px, 1)[:_POOL_PX]
    joint = np.zeros_like(tone)
    joint[::high_px] = 1
    for row in range(rows):
        band = slice(row * high_px, (row + 1) * high_px)
        shift = (row % 2) * (long_px // 2)
        tone[band] = np.roll(tone[band], shift, 1)
        joint[band, shift::long_px] = 1
    tone = np.where(joint > 0, 0.25, tone)
    pool: FloatArray = cv2.GaussianBlur(tone, (0, 0), 0.6)[:, :_POOL_PX].copy()
    pool.setflags(write=False)
    return pool


def brick_tone(rng: np.random.Generator, height: int, width: int, kind: int) -> FloatArray:
    """Tone of a wall of bricks (kinds 0..3), float32 [height, width], 32 px a metre."""
    pool = _brick_pool(kind)
    y, x = (int(rng.integers(0, max(1, _POOL_PX - n))) for n in (height, width))
    part = pool[y : y + height, x : x + width]
    if part.shape != (height, width):
        down, across = height - part.shape[0], width - part.shape[1]
        part = cv2.copyMakeBorder(part, 0, down, 0, across, cv2.BORDER_REFLECT_101)
    return np.asarray(part)


def weathered(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Tone of dirt: blotches, and streaks that run down; float32 [height, width]."""
    blotches = grain(rng, height, width, 'soft') * np.float32(rng.uniform(0.02, 0.1))
    streaks = cv2.resize(grain(rng, 8, width, 'natural'), (width, height))
    fine = grain(rng, height, width, 'rough') * np.float32(rng.uniform(0.03, 0.09))
    return blotches + streaks * np.float32(rng.uniform(0.01, 0.1)) + fine


@cache
def leaf_clump(variant: int, solid: float) -> tuple[FloatArray, Array]:
    """Tone float32 and opacity uint8, both [256, 256], of a ragged ball of leaves."""
    rng = np.random.default_rng([31, variant])
    size = 256
    tone = 0.22 * grain(rng, size, size, 'natural')
    spots = rng.normal(size / 2, size / 4.2, (900, 2))
    opacity = np.zeros((size, size), np.uint8)
    for order, (x, y) in enumerate(spots):
        at, axes = (int(x), int(y)), tuple(rng.integers(3, 12, 2).tolist())
        angle = float(rng.uniform(0, 180))
        light = -0.75 + 1.35 * order / len(spots) + 0.25 * (0.5 - y / size) + rng.normal(0, 0.2)
        cv2.ellipse(tone, at, axes, angle, 0, 360, float(light), -1)
        cv2.ellipse(opacity, at, axes, angle, 0, 360, 255, -1)
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    edge = np.sqrt(x**2 + y**2) + 0.12 * grain(rng, size, size, 'natural')
    holes = grain(rng, size, size, 'natural') > 2.2 - 1.2 * (1 - solid) - edge
    opacity[(edge > 0.93) | (holes & (edge > solid))] = 0
    opacity = cv2.GaussianBlur(opacity, (0, 0), 0.7)
    return tone + 0.12 * grain(rng, size, size, 'rough'), opacity


@lru_cache(maxsize=12)
def branches(variant: int) -> Array:
    """Opacity uint8 [384, 320] of a bare tree: a trunk that divides and divides."""
    rng = np.random.default_rng([37, variant])
    canvas = np.zeros((384, 320), np.uint8)

    def grow(x: float, y: float, angle: float, length: float, thick: float, depth: int) -> None:
        bend = angle + rng.normal(0, 0.12)
        x1, y1 = x + length * np.sin(bend), y - length * np.cos(bend)
        ends = [(round(v * 16), round(w * 16)) for v, w in ((x, y), (x1, y1))]
        cv2.line(canvas, *ends, 255, max(1, round(thick)), cv2.LINE_AA, 4)
        if depth == 0:
            return
        for _ in range(int(rng.integers(2, 4))):
            turn = bend + rng.normal(0, 0.5)
            grow(x1, y1, 0.9 * turn, length * rng.uniform(0.62, 0.86), thick * 0.62, depth - 1)

    grow(160, 384, 0.0, 105, 9, 6)
    return canvas
