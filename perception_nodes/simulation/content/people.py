# SPDX-License-Identifier: Apache-2.0
"""Silhouettes of people on foot and on bicycles, 80 pixels a metre, rgba."""

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain
from perception_nodes.simulation.content.textures import colour
from perception_nodes.types import Array, FloatArray

__all__ = ['PX_PER_M', 'cyclist_front', 'cyclist_side', 'draw_clothes', 'leg', 'torso']

PX_PER_M = 80
_SKINS = ((224, 180, 150), (198, 150, 120), (150, 105, 78), (95, 66, 50))


def draw_clothes(rng: np.random.Generator) -> dict[str, FloatArray]:
    """Draw colours of top, trousers, skin and hair."""
    top = colour(rng) * rng.uniform(0.35, 0.95)
    jeans = np.array([40, 45, 62]) * rng.uniform(0.5, 1.6)
    trousers = jeans if rng.random() < 0.7 else colour(rng)
    skin = np.array(_SKINS[rng.integers(len(_SKINS))]) * rng.uniform(0.85, 1.05)
    hair = np.array([60, 45, 35]) * rng.uniform(0.3, 2.2)
    return {'top': top, 'trousers': trousers * 0.9, 'skin': skin, 'hair': hair}


class _Figure:
    """A canvas on which shapes are drawn in metres: x to the right, z up from the bottom."""

    def __init__(self, width_m: float, height_m: float) -> None:
        self.height_m = height_m
        size = (round(height_m * PX_PER_M), round(width_m * PX_PER_M))
        self.rgb, self.alpha = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)

    def _pixel(self, x: float, z: float) -> tuple[int, int]:
        return round(x * PX_PER_M * 16), round((self.height_m - z) * PX_PER_M * 16)

    def limb(self, start: tuple[float, float], end: tuple[float, float], thick_m: float,
             shade: FloatArray) -> None:
        """Draw a thick line with round ends."""
        thick = max(1, round(thick_m * PX_PER_M))
        ends = self._pixel(*start), self._pixel(*end)
        cv2.line(self.rgb, *ends, shade.tolist(), thick, cv2.LINE_AA, 4)
        cv2.line(self.alpha, *ends, 255, thick, cv2.LINE_AA, 4)

    def shape(self, points: list[tuple[float, float]], shade: FloatArray) -> None:
        """Draw a polygon."""
        outline = np.array([self._pixel(*point) for point in points])
        cv2.fillPoly(self.rgb, [outline], shade.tolist(), cv2.LINE_AA, 4)
        cv2.fillPoly(self.alpha, [outline], 255, cv2.LINE_AA, 4)

    def ring(self, x: float, z: float, radius_m: float, thick_m: float, shade: FloatArray) -> None:
        """Draw a circle, thick_m < 0 fills it."""
        thick = -1 if thick_m < 0 else max(1, round(thick_m * PX_PER_M))
        at, radius = self._pixel(x, z), round(radius_m * PX_PER_M * 16)
        cv2.circle(self.rgb, at, radius, shade.tolist(), thick, cv2.LINE_AA, 4)
        cv2.circle(self.alpha, at, radius, 255, thick, cv2.LINE_AA, 4)

    def finished(self, rng: np.random.Generator) -> Array:
        """Add folds and shade to the image, uint8 rgba."""
        height, width = self.alpha.shape
        side = np.linspace(0.16, -0.16, width, dtype=np.float32)[None, :]
        tone = 1 + 0.1 * grain(rng, height, width, 'natural') + side * rng.choice([-1, 1])
        tone = tone.clip(0, 2).astype(np.float32)
        shaded = cv2.multiply(self.rgb, cv2.merge([tone] * 3), dtype=cv2.CV_8U)
        # Colour beyond the outline, so that soft edges do not turn black.
        empty = self.alpha == 0
        spread = cv2.dilate(shaded, np.ones((5, 5), np.uint8))
        shaded[empty] = spread[empty]
        return np.dstack([shaded, self.alpha])


def torso(rng: np.random.Generator, clothes: dict[str, FloatArray], front: bool) -> Array:
    """Head, body and arms of somebody 1 m from the hip up: [80, 56, 4] (0.7 m wide)."""
    figure = _Figure(0.7, 1.0)
    half = 0.23 if front else 0.14
    arm = clothes['top'] * 0.82
    figure.shape([(0.35 - half * 0.8, 0), (0.35 - half, 0.58), (0.35 - 0.09, 0.68),
                  (0.35 + 0.09, 0.68), (0.35 + half, 0.58), (0.35 + half * 0.8, 0)],
                 clothes['top'])
    for sign in (-1, 1) if front else (0,):
        shoulder = 0.35 + sign * (half + 0.03)
        hand = shoulder + sign * 0.03 + (0.08 if not front else 0)
        figure.limb((shoulder, 0.55), (hand, 0.05), 0.1, arm)
        figure.ring(hand, 0.0, 0.05, -1, clothes['skin'])
    figure.limb((0.35, 0.66), (0.35, 0.76), 0.1, clothes['skin'])
    figure.ring(0.35, 0.85, 0.105, -1, clothes['skin'])
    figure.shape([(0.24, 0.86), (0.25, 0.95), (0.35, 0.99), (0.45, 0.95), (0.46, 0.86),
                  (0.41, 0.92), (0.29, 0.92)], clothes['hair'])
    if rng.random() < 0.35:
        figure.shape([(0.35 + half * 0.6, 0.2), (0.35 + half * 0.6, 0.5),
                      (0.35 + half + 0.1, 0.45), (0.35 + half + 0.1, 0.2)], colour(rng) * 0.5)
    return figure.finished(rng)


def leg(rng: np.random.Generator, clothes: dict[str, FloatArray]) -> Array:
    """One leg with its shoe, 0.85 m long on a canvas 0.3 m wide."""
    figure = _Figure(0.3, 0.88)
    figure.limb((0.14, 0.8), (0.14, 0.1), 0.15, clothes['trousers'])
    figure.limb((0.13, 0.04), (0.24, 0.04), 0.08, clothes['hair'] * 0.4)
    return figure.finished(rng)


def cyclist_side(rng: np.random.Generator, clothes: dict[str, FloatArray]) -> Array:
    """A bicycle and its rider from the right, front to the right: 1.8 m wide, 1.85 m high."""
    figure = _Figure(1.8, 1.85)
    dark, frame = np.full(3, 28.0), colour(rng)
    for x in (0.36, 1.4):
        figure.ring(x, 0.34, 0.32, 0.045, dark)
        figure.ring(x, 0.34, 0.05, -1, dark)
        for angle in np.arange(6) * np.pi / 6:
            dx, dz = 0.3 * np.cos(angle), 0.3 * np.sin(angle)
            figure.limb((x - dx, 0.34 - dz), (x + dx, 0.34 + dz), 0.012, np.full(3, 120.0))
    for start, end in (((0.36, 0.34), (0.82, 0.32)), ((0.82, 0.32), (0.7, 0.85)),
                       ((0.7, 0.78), (1.25, 0.85)), ((0.82, 0.32), (1.27, 0.8)),
                       ((1.4, 0.34), (1.22, 1.0)), ((0.36, 0.34), (0.72, 0.75)),
                       ((1.22, 1.0), (1.35, 1.05))):
        figure.limb(start, end, 0.04, frame)
    for knee, foot in (((1.1, 0.72), (0.9, 0.2)), ((1.05, 0.85), (0.95, 0.48))):
        figure.limb((0.72, 0.92), knee, 0.16, clothes['trousers'])
        figure.limb(knee, foot, 0.12, clothes['trousers'] * 0.9)
        figure.limb(foot, (foot[0] + 0.14, foot[1] - 0.02), 0.08, dark)
    figure.limb((0.72, 0.95), (0.98, 1.42), 0.26, clothes['top'])
    figure.limb((0.98, 1.4), (1.1, 1.12), 0.1, clothes['top'] * 0.8)
    figure.limb((1.1, 1.12), (1.32, 1.06), 0.08, clothes['skin'])
    figure.ring(1.07, 1.66, 0.11, -1, clothes['skin'])
    helmet = colour(rng) if rng.random() < 0.5 else clothes['hair']
    figure.shape([(0.95, 1.66), (0.97, 1.77), (1.08, 1.81), (1.18, 1.75), (1.17, 1.69)], helmet)
    return figure.finished(rng)


def cyclist_front(rng: np.random.Generator, clothes: dict[str, FloatArray]) -> Array:
    """A rider from the front or behind: 0.7 m wide, 1.85 m high."""
    figure = _Figure(0.7, 1.85)
    dark = np.full(3, 28.0)
    figure.limb((0.35, 0.04), (0.35, 0.66), 0.05, dark)
    for sign in (-1, 1):
        figure.limb((0.35 + 0.1 * sign, 0.9), (0.35 + 0.14 * sign, 0.3 + 0.1 * sign), 0.13,
                    clothes['trousers'])
        figure.limb((0.35 + 0.2 * sign, 1.38), (0.35 + 0.27 * sign, 1.05), 0.1,
                    clothes['top'] * 0.85)
    figure.limb((0.1, 1.04), (0.6, 1.04), 0.03, dark)
    figure.shape([(0.2, 0.88), (0.14, 1.4), (0.27, 1.48), (0.43, 1.48), (0.56, 1.4), (0.5, 0.88)],
                 clothes['top'])
    figure.ring(0.35, 1.66, 0.11, -1, clothes['skin'])
    figure.shape([(0.23, 1.67), (0.26, 1.77), (0.35, 1.81), (0.44, 1.77), (0.47, 1.67)],
                 clothes['hair'])
    return figure.finished(rng)
