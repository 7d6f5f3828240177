# SPDX-License-Identifier: Apache-2.0
"""Draws quads into an image with exact depth: homographies and a buffer of inverse depth.

For a parallelogram with corner o and edges a, d in the camera's frame, the pixel (x, y) shows
``(K [a d o])^-1 (x, y, 1) = (u, v, 1) / z``: one matrix gives the place on the texture and the
inverse depth, which is affine in the pixel. Outlines are softened by coverage; depth and identity
belong to whatever covers at least half of a pixel.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.scene.quads import DECAL, GROUND, Quad
from perception_nodes.types import Array, FloatArray

__all__ = ['Buffers', 'draw_quads']

NEAR_M = 0.3
_SHIFT = 4
_HALF = 128
_BLOCK_PX = 96
_FAR_OUT_PX = 8000.0
_SMALLEST_PX2 = 0.3
_SHARPER = 0.3
_EDGE_ON = 0.1
_DECAL_TOLERANCE = 0.02

_Rows = list[list[float]]
"""A 3x3 matrix as plain numbers."""


@dataclass(frozen=True)
class Buffers:
    """What the camera sees.

    Attributes
    ----------
    rgb : uint8 [H, W, 3].
    inverse_depth : float32 [H, W] 1/m, 0 = sky.
    quad : int16 [H, W] index of the quad, -1 = sky.
    """

    rgb: Array
    inverse_depth: FloatArray
    quad: Array


def draw_quads(
    quads: list[Quad], corners: FloatArray, camera_from_world: FloatArray, k: FloatArray,
    background: Array,
) -> Buffers:
    """Draw all quads over a background.

    Parameters
    ----------
    corners : float64 [N, 4, 3] of the quads in the world, at this moment.
    camera_from_world : float64 [4, 4]. k : float64 [3, 3] intrinsics, pixels.
    background : uint8 [H, W, 3], overwritten.
    """
    height, width = background.shape[:2]
    buffers = Buffers(
        background, np.zeros((height, width), np.float32), np.full((height, width), -1, np.int16)
    )
    seen = corners @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    shown = _visible(quads, seen, k, height, width)
    seen = seen[shown]
    edges = np.stack([seen[:, 1] - seen[:, 0], seen[:, 3] - seen[:, 0], seen[:, 0]], -1)
    place_from_pixel = np.linalg.inv(k @ edges)
    whole = (seen[..., 2] > NEAR_M).all(1)
    pixels = seen[..., :2] / np.where(whole[:, None], seen[..., 2], 1)[..., None]
    pixels = pixels * [k[0, 0], k[1, 1]] + [k[0, 2], k[1, 2]]
    whole &= (np.abs(pixels) < _FAR_OUT_PX).all((1, 2))
    rows = place_from_pixel.tolist()
    low, high = _limits_of([quads[i].order for i in shown], seen[..., 2], place_from_pixel)
    for row, index in enumerate(shown):
        outline = pixels[row] if whole[row] else _outline(seen[row], k, background.shape)
        if outline is not None:
            _draw(buffers, quads[index], outline, rows[row], index, (low[row], high[row]))
    return buffers


def _limits_of(
    orders: list[int], depth_m: FloatArray, place_from_pixel: FloatArray
) -> tuple[list[float], list[float]]:
    """Least and largest inverse depth that each quad may show, 1/m.

    A pixel covered by half may have its centre beyond the corners: the plane goes on. Seen edge on
    it would run away within that pixel: then the corners' range is kept. Ground meets ground.
    """
    inverse = 1 / np.maximum(depth_m, NEAR_M)
    low, high = inverse.min(1), inverse.max(1)
    slope = np.abs(place_from_pixel[:, 2, :2]).sum(1)
    on = (slope < _EDGE_ON * high) | (np.array(orders, int) == GROUND)
    margin = np.where(on, slope, 0.0)
    return np.maximum(low - margin, 1e-5).tolist(), (high + margin).tolist()


def _visible(
    quads: list[Quad], seen: FloatArray, k: FloatArray, height: int, width: int
) -> list[int]:
    """Indices of the quads that reach into the image, in the order of drawing."""
    x, y, z = np.moveaxis(seen, -1, 0)
    inside = (z > NEAR_M).any(1)
    left, right = -k[0, 2] - 0.5, width - 0.5 - k[0, 2]
    top, bottom = -k[1, 2] - 0.5, height - 0.5 - k[1, 2]
    inside &= (k[0, 0] * x > left * z).any(1) & (k[0, 0] * x < right * z).any(1)
    inside &= (k[1, 1] * y > top * z).any(1) & (k[1, 1] * y < bottom * z).any(1)
    distance = np.linalg.norm(seen.mean(1), axis=-1)
    inside &= distance < np.array([quad.far_m for quad in quads])
    # A plane through the camera's centre shows nothing; it would have no inverse either.
    normal = np.cross(seen[:, 1] - seen[:, 0], seen[:, 3] - seen[:, 0])
    area = np.linalg.norm(normal, axis=-1)
    offset = np.abs(np.einsum('ni,ni->n', normal, seen[:, 0]))
    inside &= offset > 1e-6 * area
    # Of the quad's area the camera sees this many pixels, if it is about one distance away.
    near = np.maximum(np.linalg.norm(seen, axis=-1).min(1), NEAR_M)
    inside &= offset * k[0, 0] * k[1, 1] > _SMALLEST_PX2 * near**3
    order = np.array([quad.order for quad in quads])
    return [int(i) for i in np.lexsort((-distance, order)) if inside[i]]


def _draw(
    buffers: Buffers, quad: Quad, outline: FloatArray, place_from_pixel: _Rows, index: int,
    limits: tuple[float, float],
) -> None:
    # Streets are hundreds of small quads: plain numbers cost less here than arrays of four.
    across, down = zip(*outline.tolist(), strict=True)
    x0, y0 = max(math.floor(min(across)), 0), max(math.floor(min(down)), 0)
    x1 = min(math.ceil(max(across)) + 1, buffers.rgb.shape[1])
    y1 = min(math.ceil(max(down)) + 1, buffers.rgb.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    here = (slice(y0, y1), slice(x0, x1))
    a, b, c = place_from_pixel[2]
    column = np.arange(x0, x1, dtype=np.float32) * np.float32(a) + np.float32(c)
    inverse_depth = column + (np.arange(y0, y1, dtype=np.float32) * np.float32(b))[:, None]
    np.clip(inverse_depth, *limits, out=inverse_depth)
    behind = buffers.inverse_depth[here]
    if quad.order == DECAL:
        nearer = np.abs(inverse_depth - behind) < _DECAL_TOLERANCE * behind
    else:
        nearer = inverse_depth > behind
    if not nearer.any():
        return
    image = _textured(quad, place_from_pixel, outline, (x0, y0, x1, y1))
    coverage = np.zeros(nearer.shape, np.uint8)
    fixed = np.rint((outline - [x0, y0]) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(coverage, fixed, 255, cv2.LINE_AA, _SHIFT)
    if not quad.surface.opaque:
        coverage = cv2.multiply(coverage, cv2.extractChannel(image, 3), scale=1 / 255)
    coverage *= nearer
    weight = coverage * np.float32(1 / 255)
    if quad.order == GROUND:
        # Ground meets ground: the sky must not shine through where two pieces share a pixel.
        weight[(coverage > 0) & (behind == 0)] = 1
    colour = cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)
    below = buffers.rgb[here]
    below[:] = cv2.blendLinear(colour, np.ascontiguousarray(below), weight, 1 - weight)
    if quad.order != DECAL:
        solid = coverage >= _HALF
        np.copyto(behind, inverse_depth, where=solid)
        np.copyto(buffers.quad[here], np.int16(index), where=solid)


def _textured(
    quad: Quad, place_from_pixel: _Rows, outline: FloatArray,
    window: tuple[int, int, int, int],
) -> Array:
    """Image of the quad in a window (x0, y0, x1, y1), uint8 [y1 - y0, x1 - x0, 4].

    A block takes the texture's copy whose pixels are about as large as the image's; a window
    over which that changes is cut into blocks.
    """
    x0, y0, x1, y1 = window
    if max(x1 - x0, y1 - y0) > _BLOCK_PX:
        inside = outline.clip([x0, y0], [x1, y1])
        levels = [_level(quad, place_from_pixel, x, y) for x, y in inside.tolist()]
        if max(levels) - min(levels) > 1:
            return _in_blocks(quad, place_from_pixel, window)
    level = _level(quad, place_from_pixel, (x0 + x1) / 2, (y0 + y1) / 2)
    return _warped(quad, place_from_pixel, level, window)


def _in_blocks(
    quad: Quad, place_from_pixel: _Rows, window: tuple[int, int, int, int]
) -> Array:
    x0, y0, x1, y1 = window
    image = np.empty((y1 - y0, x1 - x0, 4), np.uint8)
    rows, columns = range(y0, y1, _BLOCK_PX), range(x0, x1, _BLOCK_PX)
    for top in rows:
        for left in columns:
            right, bottom = min(left + _BLOCK_PX, x1), min(top + _BLOCK_PX, y1)
            level = _level(quad, place_from_pixel, (left + right) / 2, (top + bottom) / 2)
            image[top - y0 : bottom - y0, left - x0 : right - x0] = _warped(
                quad, place_from_pixel, level, (left, top, right, bottom)
            )
    return image


def _warped(
    quad: Quad, place_from_pixel: _Rows, wanted: int, window: tuple[int, int, int, int]
) -> Array:
    x0, y0, x1, y1 = window
    texture = quad.surface.level(wanted)
    rows, columns = texture.shape[:2]
    (a, b, c), (d, e, f), (g, h, i) = place_from_pixel
    # Texel from place: [[columns, 0, -1/2], [0, rows, -1/2], [0, 0, 1]]; then the window's corner.
    a, b, c = columns * a - 0.5 * g, columns * b - 0.5 * h, columns * c - 0.5 * i
    d, e, f = rows * d - 0.5 * g, rows * e - 0.5 * h, rows * f - 0.5 * i
    matrix = np.array([
        [a, b, c + (a * x0 + b * y0)], [d, e, f + (d * x0 + e * y0)], [g, h, i + (g * x0 + h * y0)]
    ])
    return cv2.warpPerspective(
        texture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _level(quad: Quad, place_from_pixel: _Rows, x: float, y: float) -> int:
    """How often to halve the texture at a pixel, from what the pixel covers on it."""
    (a, b, c), (d, e, f), (g, h, i) = place_from_pixel
    w = g * x + h * y + i
    if w <= 1e-6:
        return 0
    u, v = (a * x + b * y + c) / w, (d * x + e * y + f) / w
    width, height = quad.surface.size
    ux, uy = (a - u * g) / w * width, (b - u * h) / w * width
    vx, vy = (d - v * g) / w * height, (e - v * h) / w * height
    area = abs(ux * vy - uy * vx)
    longest = math.sqrt(max(ux * ux + uy * uy, vx * vx + vy * vy, 1e-12))
    # Between the area's root and the longer side: neither sparkling nor washed out.
    footprint = math.sqrt(math.sqrt(max(area, 1e-12)) * longest)
    return min(max(round(math.log2(max(footprint, 1e-3)) - _SHARPER), 0), 12)


def _outline(corners: FloatArray, k: FloatArray, shape: tuple[int, ...]) -> FloatArray | None:
    """Project the part before the camera and near the image, float64 [N, 2]; None if none."""
    polygon = corners
    limits = _limits(k, shape)
    distances = polygon @ limits[:, :3].T + limits[:, 3]
    for index in range(len(limits)):
        if (distances[:, index] >= 0).all():
            continue
        polygon = _clipped(polygon, limits[index])
        if len(polygon) < 3:
            return None
        distances = polygon @ limits[:, :3].T + limits[:, 3]
    return np.asarray(polygon[:, :2] / polygon[:, 2:] * [k[0, 0], k[1, 1]] + [k[0, 2], k[1, 2]])


def _limits(k: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Planes n x + m >= 0 around what the camera sees with a margin, float64 [5, 4]."""
    margin = 64.0
    height, width = shape[:2]
    return np.array([
        [0, 0, 1, -NEAR_M],
        [k[0, 0], 0, k[0, 2] + margin, 0], [-k[0, 0], 0, width + margin - k[0, 2], 0],
        [0, k[1, 1], k[1, 2] + margin, 0], [0, -k[1, 1], height + margin - k[1, 2], 0],
    ])


def _clipped(polygon: FloatArray, plane: FloatArray) -> FloatArray:
    """Cut a polygon [N, 3] by a plane (Sutherland and Hodgman, CACM 1974)."""
    distance = polygon @ plane[:3] + plane[3]
    kept = []
    for i, (point, d) in enumerate(zip(polygon, distance, strict=True)):
        before, e = polygon[i - 1], distance[i - 1]
        if (d >= 0) != (e >= 0):
            kept.append(before + (point - before) * (e / (e - d)))
        if d >= 0:
            kept.append(point)
    return np.array(kept).reshape(-1, 3)
