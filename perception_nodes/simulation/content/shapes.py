# SPDX-License-Identifier: Apache-2.0
"""Outlines of random layers: blobs, polygons, bars, lattices, leaves."""

from collections.abc import Callable

import cv2
import numpy as np

from perception_nodes.simulation.content.textures import fractal_noise
from perception_nodes.types import Array, FloatArray

__all__ = ['SHAPES', 'draw_shape']

_SHIFT = 4


def _centre(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    return rng.uniform([0, 0], [width, height])


def _radius(rng: np.random.Generator, height: int, width: int) -> float:
    return float(min(height, width) * np.exp(rng.uniform(np.log(0.04), np.log(0.5))))


def _fill(height: int, width: int, points: FloatArray) -> Array:
    mask = np.zeros((height, width), np.uint8)
    fixed = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    return cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)


def _round(rng: np.random.Generator, corners: int, sharp: float) -> FloatArray:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radii = np.ones(corners)
    for wave in range(2, 7):
        radii += sharp / wave * rng.normal() * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    stretch = np.array([1.0, np.exp(rng.normal(0, 0.5))])
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.maximum(radii, 0.1)[:, None] * ring * stretch


def blob(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a rounded shape."""
    outline = _round(rng, 40, 0.35) * _radius(rng, height, width)
    return _fill(height, width, outline + _centre(rng, height, width))


def polygon(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a shape with corners."""
    outline = _round(rng, int(rng.integers(3, 8)), 0.3) * _radius(rng, height, width)
    return _fill(height, width, outline + _centre(rng, height, width))


def bar(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a long thin thing: a pole, a branch, a wire."""
    thickness = np.exp(rng.uniform(np.log(1.5), np.log(0.06 * width)))
    angle = rng.normal(np.pi / 2, 0.15) if rng.random() < 0.6 else rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]]) * thickness / 2
    middle, reach = _centre(rng, height, width), rng.uniform(0.1, 1.0) * height
    ends = np.stack([middle - reach * along, middle + reach * along])
    corners = np.stack([ends[0] - across, ends[1] - across, ends[1] + across, ends[0] + across])
    return _fill(height, width, corners)


def lattice(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a piece of fence: thin bars with gaps, the rest is seen through."""
    step = int(rng.integers(6, 30))
    thick = max(1, round(step * rng.uniform(0.15, 0.4)))
    mask = np.zeros((height, width), np.uint8)
    mask[:, np.arange(width) % step < thick] = 255
    if rng.random() < 0.6:
        mask[np.arange(height) % (step * int(rng.integers(1, 4))) < thick] = 255
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 10)), 1.0)
    return cv2.min(cv2.warpAffine(mask, turn, (width, height)), blob(rng, height, width))


def ragged(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a crown of leaves: a blob whose edge is torn and has holes."""
    solid = cv2.GaussianBlur(blob(rng, height, width), (0, 0), 0.02 * width)
    torn = solid + rng.uniform(20, 60) * fractal_noise(
        rng, height, width, coarsest=int(rng.integers(8, 40)), persistence=0.75
    )
    return cv2.convertScaleAbs(torn.clip(112, 144) - 112, alpha=8)


SHAPES: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    'blob': blob, 'polygon': polygon, 'bar': bar, 'lattice': lattice, 'ragged': ragged,
}  # fmt: skip
_SHARES = (0.25, 0.3, 0.25, 0.1, 0.1)


def draw_shape(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a random outline: opacity uint8 [height, width], 255 inside."""
    return SHAPES[str(rng.choice(list(SHAPES), p=_SHARES))](rng, height, width)
