# SPDX-License-Identifier: Apache-2.0
"""Cars, vans and buses: a side silhouette, drawn out across the width."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain, opaque
from perception_nodes.types import Array, FloatArray

__all__ = ['PROFILES', 'Vehicle', 'draw_vehicle']

PX_PER_M = 56
_PAINTS = (
    (190, 192, 196), (225, 226, 228), (38, 40, 44), (110, 114, 120), (25, 38, 80), (130, 22, 26),
    (62, 80, 66), (150, 160, 175), (20, 20, 22), (200, 195, 180), (45, 70, 120), (160, 40, 30),
    (215, 170, 40),
)  # fmt: skip

PROFILES: dict[str, tuple[tuple[float, float], ...]] = {
    'hatchback': ((0, .32), (.03, .78), (.22, .98), (.55, 1.42), (2.1, 1.46), (2.95, .98),
                  (3.75, .8), (3.88, .62), (3.85, .28)),
    'saloon': ((0, .34), (.04, .86), (.75, .98), (1.3, 1.36), (2.5, 1.42), (3.35, .98),
               (4.35, .8), (4.5, .6), (4.46, .28)),
    'estate': ((0, .34), (.05, .9), (.35, 1.42), (2.6, 1.46), (3.45, .98), (4.4, .8), (4.55, .6),
               (4.5, .28)),
    'suv': ((0, .42), (.05, .95), (.3, 1.62), (2.5, 1.72), (3.2, 1.15), (4.2, 1.0), (4.4, .75),
            (4.38, .38)),
    'van': ((0, .4), (.02, 1.9), (.15, 2.05), (3.6, 2.1), (4.3, 1.3), (5.0, 1.0), (5.1, .5),
            (5.08, .35)),
    'truck': ((0, .5), (0, 3.1), (4.8, 3.15), (4.85, 2.6), (6.3, 2.5), (6.5, 1.4), (6.55, .4)),
    'bus': ((0, .35), (0, 2.9), (9.9, 2.95), (10.1, 1.2), (10.1, .35)),
}  # fmt: skip
"""Outlines (x from the rear bumper, height) in metres, from rear to front over the roof."""
_SHARES = (0.34, 0.2, 0.14, 0.14, 0.11, 0.04, 0.03)
_GLASS_FROM = {'van': 3.5, 'truck': 4.8}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle as faces in its own frame: x forward, y left, z up, origin under the middle.

    Attributes
    ----------
    faces : (origin, across, down, rgba, normal) of each face.
    length_m, width_m, height_m : of the whole.
    """

    faces: tuple[tuple[FloatArray, FloatArray, FloatArray, Array, FloatArray], ...]
    length_m: float
    width_m: float
    height_m: float


def draw_vehicle(rng: np.random.Generator, kind: str | None = None) -> Vehicle:
    """Draw a vehicle; kind None draws that too."""
    kind = kind or str(rng.choice(list(PROFILES), p=_SHARES))
    profile = np.array(PROFILES[kind]) * [rng.uniform(0.93, 1.07), rng.uniform(0.96, 1.05)]
    width = float(rng.uniform(1.62, 1.88)) if profile[:, 0].max() < 5.5 else 2.45
    paint = np.array(_PAINTS[rng.integers(len(_PAINTS))]) * rng.uniform(0.8, 1.1)
    length, height = float(profile[:, 0].max()), float(profile[:, 1].max())
    side = _side(rng, kind, profile, paint)
    middle, half = length / 2, width / 2
    faces = []
    for left in (1.0, -1.0):
        start = -middle if left < 0 else middle
        image = side if left < 0 else np.ascontiguousarray(side[:, ::-1])
        faces.append((
            np.array([start, left * half, height]), np.array([-np.sign(start) * length, 0, 0]),
            np.array([0, 0, -height]), image, np.array([0, left, 0.0]),
        ))
    outline = _cut_at_belt(profile, 0.6 * height)
    for first, second in itertools.pairwise(outline):
        faces.append(_strip(rng, kind, first, second, middle, half, paint, height))
    return Vehicle(tuple(faces), length, width, height)


def _cut_at_belt(profile: FloatArray, belt_m: float) -> FloatArray:
    """Cut tall faces in two, so that the glass begins at the belt."""
    points = [profile[0]]
    for first, second in itertools.pairwise(profile):
        low, high = sorted((first[1], second[1]))
        if high - low > 0.7 and low < belt_m < high:
            points.append(first + (second - first) * (belt_m - first[1]) / (second[1] - first[1]))
        points.append(second)
    return np.array(points)


def _strip(
    rng: np.random.Generator, kind: str, first: FloatArray, second: FloatArray, middle: float,
    half: float, paint: FloatArray, top_m: float,
) -> tuple[FloatArray, FloatArray, FloatArray, Array, FloatArray]:
    """Face between two points of the profile, drawn out over the width."""
    (x0, z0), (x1, z1) = first, second
    slope = np.array([x1 - x0, 0, z1 - z0])
    normal = np.array([-(z1 - z0), 0, x1 - x0]) / max(float(np.hypot(x1 - x0, z1 - z0)), 1e-6)
    at_rear = x0 < 1.0 and z1 > z0
    # The image's top is the upper edge as seen from outside: there +y is left from behind only.
    if at_rear:
        origin, across, down = np.array([x1 - middle, half, z1]), [0, -2 * half, 0], -slope
    else:
        origin, across, down = np.array([x0 - middle, -half, z0]), [0, 2 * half, 0], slope
    rows = max(4, round(float(np.linalg.norm(slope)) * PX_PER_M))
    columns = round(2 * half * PX_PER_M)
    steep = abs(z1 - z0) > 0.25 * (1 if abs(z1 - z0) > 0.6 * abs(x1 - x0) else 1.4)
    high = min(z0, z1) >= 0.54 * top_m and max(z0, z1) > 0.7 * top_m
    tone = 1 + 0.02 * grain(rng, rows, columns, 'soft')
    image = cv2.merge([cv2.convertScaleAbs(tone, alpha=float(c)) for c in paint])
    box = kind == 'truck' and at_rear
    if steep and high and not box:
        _windscreen(rng, image)
    elif steep and at_rear and not (box and high):
        _rear(rng, image, paint)
    elif steep and not high:
        _nose(rng, image)
    return origin, np.asarray(across, float), np.asarray(down, float), opaque(image), normal


def _windscreen(rng: np.random.Generator, image: Array) -> None:
    rows, columns = image.shape[:2]
    light = rng.uniform(35, 170)
    ramp = np.linspace(light, rng.uniform(0.3, 0.7) * light, rows)[:, None]
    tone = ramp * (1 + 0.15 * grain(rng, rows, columns, 'soft'))
    glass = (tone[..., None] * np.array([0.92, 0.98, 1.03])).clip(0, 255).astype(np.uint8)
    for x in (columns * 5 // 16, columns * 11 // 16):
        seat = (max(2, columns // 14), max(2, rows // 3))
        cv2.ellipse(glass, (x, rows), seat, 0, 0, 360, (0.4 * tone.mean(),) * 3, -1, cv2.LINE_AA)
    edge = max(2, columns // 16)
    image[1:-1, edge:-edge] = glass[1:-1, edge:-edge]


def _rear(rng: np.random.Generator, image: Array, paint: FloatArray) -> None:
    rows, columns = image.shape[:2]
    lamp = (max(4, columns // 8), max(3, rows // 3))
    for x in (0, columns - lamp[0]):
        image[2 : 2 + lamp[1], x : x + lamp[0]] = (170, 25, 22)
    plate_width, plate_top = columns // 4, rows // 2
    plate = image[plate_top : plate_top + max(3, rows // 5),
                    columns // 2 - plate_width // 2 : columns // 2 + plate_width // 2]
    plate[:] = (220, 190, 60) if rng.random() < 0.5 else (225, 225, 222)
    plate[1:-1, 2:-2:3] = 40
    image[-max(2, rows // 5) :] = paint * 0.45


def _nose(rng: np.random.Generator, image: Array) -> None:
    rows, columns = image.shape[:2]
    grille = image[rows // 4 : rows * 3 // 4, columns // 4 : -columns // 4]
    grille[:] = 30
    grille[::3] = 75
    lamp = max(5, columns // 6)
    for x in (1, columns - lamp - 1):
        image[1 : max(3, rows * 2 // 3), x : x + lamp] = (215, 218, 222)
    plate = image[rows * 2 // 3 : rows * 2 // 3 + max(3, rows // 5),
                    columns // 2 - columns // 8 : columns // 2 + columns // 8]
    plate[:] = (222, 222, 218)
    plate[1:-1, 2:-2:3] = 40
    image[-max(2, rows // 8) :] = 28


def _side(
    rng: np.random.Generator, kind: str, profile: FloatArray, paint: FloatArray
) -> Array:
    """Side seen from the right of the vehicle (front to the right), rgba; row 0 is the top."""
    length, height = profile.max(0)
    columns, rows = round(length * PX_PER_M), round(height * PX_PER_M)

    def pixel(points: FloatArray) -> Array:
        scaled = np.stack([points[:, 0], height - points[:, 1]], -1) * PX_PER_M * 16
        return np.rint(scaled).astype(np.int32)

    light = np.interp(np.linspace(height, 0, rows), [0.2, 0.55, 0.85, 0.95, height],
                      [0.5, 0.85, 1.0, 1.16, 1.0])
    tone = (light[:, None] + 0.03 * grain(rng, rows, columns, 'soft')).astype(np.float32)
    image = cv2.merge([cv2.convertScaleAbs(tone, alpha=float(c)) for c in paint])
    alpha = np.zeros((rows, columns), np.uint8)
    cv2.fillPoly(alpha, [pixel(profile)], 255, cv2.LINE_AA, 4)
    belt = 0.66 * height if height < 1.9 else 0.55 * height
    glass = profile[profile[:, 1] > belt]
    glass = glass[glass[:, 0] >= _GLASS_FROM.get(kind, 0.0)]
    if len(glass) >= 2:
        window = np.vstack([[glass[0, 0] - 0.12, belt], glass, [glass[-1, 0] + 0.3, belt]])
        centre = window.mean(0)
        _side_windows(rng, image, pixel(centre + (window - centre) * [0.9, 0.8]))
    for x in np.linspace(0.33, 0.62, 2) * length:
        column = round(x * PX_PER_M)
        cv2.line(image, (column, round((height - belt) * PX_PER_M * 0.4)),
                 (column, round((height - 0.35) * PX_PER_M)), (paint * 0.6).tolist(), 1)
    radius = (0.31 if height < 2.5 else 0.46) * PX_PER_M
    for x in (0.19 * length, 0.81 * length):
        _wheel(image, alpha, (round(x * PX_PER_M), round(rows - radius)), radius)
    return np.dstack([image, alpha])


def _side_windows(rng: np.random.Generator, image: Array, outline: Array) -> None:
    dark = rng.uniform(18, 70)
    cv2.fillPoly(image, [outline], (dark, dark * 1.04, dark * 1.08), cv2.LINE_AA, 4)
    low, high = outline.min(0) / 16, outline.max(0) / 16
    for share in (0.36, 0.68):
        x = round(float(low[0] + share * (high[0] - low[0])))
        cv2.line(image, (x, int(low[1])), (x, int(high[1])), (25, 25, 28), 3)


def _wheel(image: Array, alpha: Array, centre: tuple[int, int], radius: float) -> None:
    cv2.circle(image, centre, round(radius * 1.2), (14, 14, 15), -1, cv2.LINE_AA)
    cv2.circle(image, centre, round(radius), (26, 26, 28), -1, cv2.LINE_AA)
    cv2.circle(alpha, centre, round(radius), 255, -1, cv2.LINE_AA)
    cv2.circle(image, centre, round(radius * 0.62), (150, 152, 156), -1, cv2.LINE_AA)
    for angle in np.arange(5) * 2 * np.pi / 5:
        end = (round(centre[0] + radius * 0.6 * np.cos(angle)),
               round(centre[1] + radius * 0.6 * np.sin(angle)))
        cv2.line(image, centre, end, (70, 72, 76), max(1, round(radius / 6)), cv2.LINE_AA)
