# SPDX-License-Identifier: Apache-2.0
"""Draws quads into a picture with exact depth: homographies and a buffer of inverse depth.

For a parallelogram with corner o and edges a, d in the camera's frame, the pixel (x, y) shows
``(K [a d o])^-1 (x, y, 1) = (u, v, 1) / z``: one matrix gives the place on the texture and the
inverse depth, which is affine in the pixel. Outlines are softened by coverage; depth and identity
belong to whatever covers at least half of a pixel.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.datasets.synthetic.quads import DECAL, GROUND, Quad
from perception_nodes.types import Array, FloatArray

__all__ = ['Buffers', 'draw_quads']

NEAR_M = 0.3
_SHIFT = 4
_HALF = 128
_BLOCK_PX = 96
_DECAL_TOLERANCE = 0.02


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
    for index in _visible(quads, seen, k, height, width):
        _draw(buffers, quads[index], seen[index], k, index)
    return buffers


def _visible(
    quads: list[Quad], seen: FloatArray, k: FloatArray, height: int, width: int
) -> list[int]:
    """Indices of the quads that reach into the picture, in the order of drawing."""
    x, y, z = np.moveaxis(seen, -1, 0)
    inside = (z > NEAR_M).any(1)
    left, right = -k[0, 2] - 0.5, width - 0.5 - k[0, 2]
    top, bottom = -k[1, 2] - 0.5, height - 0.5 - k[1, 2]
    inside &= (k[0, 0] * x > left * z).any(1) & (k[0, 0] * x < right * z).any(1)
    inside &= (k[1, 1] * y > top * z).any(1) & (k[1, 1] * y < bottom * z).any(1)
    distance = np.linalg.norm(seen.mean(1), axis=-1)
    inside &= distance < np.array([quad.far_m for quad in quads])
    order = np.array([quad.order for quad in quads])
    return [int(i) for i in np.lexsort((-distance, order)) if inside[i]]


def _draw(
    buffers: Buffers, quad: Quad, corners: FloatArray, k: FloatArray, index: int
) -> None:
    outline = _outline(corners, k, buffers.rgb.shape)
    if outline is None:
        return
    x0, y0 = np.floor(outline.min(0)).astype(int)
    x1, y1 = np.ceil(outline.max(0)).astype(int) + 1
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x1, buffers.rgb.shape[1]), min(y1, buffers.rgb.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    origin = corners[0]
    edges = np.stack([corners[1] - origin, corners[3] - origin, origin], -1)
    try:
        place_from_pixel = np.linalg.inv(k @ edges)
    except np.linalg.LinAlgError:
        return
    here = (slice(y0, y1), slice(x0, x1))
    a, b, c = place_from_pixel[2]
    column = np.arange(x0, x1, dtype=np.float32) * np.float32(a) + np.float32(c)
    inverse_depth = column + (np.arange(y0, y1, dtype=np.float32) * np.float32(b))[:, None]
    behind = buffers.inverse_depth[here]
    nearer = inverse_depth > behind * np.float32(1 - 1e-4 * (quad.order == GROUND))
    if quad.order == DECAL:
        nearer = np.abs(inverse_depth - behind) < _DECAL_TOLERANCE * behind
    if not nearer.any():
        return
    picture = _textured(quad, place_from_pixel, x0, y0, x1, y1)
    coverage = np.zeros(nearer.shape, np.uint8)
    fixed = np.rint((outline - [x0, y0]) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(coverage, fixed, 255, cv2.LINE_AA, _SHIFT)
    if not quad.surface.opaque:
        coverage = cv2.multiply(coverage, cv2.extractChannel(picture, 3), scale=1 / 255)
    coverage *= nearer
    weight = coverage.astype(np.float32) * np.float32(1 / 255)
    colour = cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB)
    below = buffers.rgb[here]
    below[:] = cv2.blendLinear(colour, np.ascontiguousarray(below), weight, 1 - weight)
    if quad.order != DECAL:
        solid = coverage >= _HALF
        np.copyto(behind, inverse_depth, where=solid)
        np.copyto(buffers.quad[here], np.int16(index), where=solid)


def _textured(
    quad: Quad, place_from_pixel: FloatArray, x0: int, y0: int, x1: int, y1: int
) -> Array:
    """Picture of the quad in a window, uint8 [y1 - y0, x1 - x0, 4], block by block.

    Each block takes the texture's copy whose pixels are about as large as the picture's.
    """
    picture = np.empty((y1 - y0, x1 - x0, 4), np.uint8)
    rows = np.linspace(y0, y1, 1 + -(-(y1 - y0) // _BLOCK_PX)).round().astype(int)
    columns = np.linspace(x0, x1, 1 + -(-(x1 - x0) // _BLOCK_PX)).round().astype(int)
    for top, bottom in zip(rows[:-1], rows[1:], strict=True):
        for left, right in zip(columns[:-1], columns[1:], strict=True):
            wanted = _level(quad, place_from_pixel, (left + right) / 2, (top + bottom) / 2)
            picture[top - y0 : bottom - y0, left - x0 : right - x0] = _warped(
                quad, place_from_pixel, wanted, left, top, (right - left, bottom - top)
            )
    return picture


def _warped(
    quad: Quad, place_from_pixel: FloatArray, wanted: int, x0: int, y0: int,
    size: tuple[int, int],
) -> Array:
    _, texture = quad.surface.level(wanted)
    rows, columns = texture.shape[:2]
    texel_from_place = np.array([[columns, 0, -0.5], [0, rows, -0.5], [0, 0, 1.0]])
    shift = np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1.0]])
    return cv2.warpPerspective(
        texture, texel_from_place @ place_from_pixel @ shift, (int(size[0]), int(size[1])),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )


def _level(quad: Quad, place_from_pixel: FloatArray, x: float, y: float) -> int:
    """How often to halve the texture at a pixel, from the area that the pixel covers on it."""
    u, v, w = place_from_pixel @ [x, y, 1.0]
    width, height = quad.surface.size
    if w <= 1e-6:
        return 0
    du = (place_from_pixel[0, :2] - u / w * place_from_pixel[2, :2]) / w * width
    dv = (place_from_pixel[1, :2] - v / w * place_from_pixel[2, :2]) / w * height
    area = abs(du[0] * dv[1] - du[1] * dv[0])
    longest = np.sqrt(max(du @ du, dv @ dv, 1e-12))
    # Between the area's root and the longer side: neither sparkling nor washed out.
    footprint = np.sqrt(np.sqrt(max(area, 1e-12)) * longest)
    return int(np.clip(np.rint(np.log2(max(footprint, 1e-3))), 0, 12))


def _outline(corners: FloatArray, k: FloatArray, shape: tuple[int, ...]) -> FloatArray | None:
    """Project the part before the camera and near the picture, float64 [N, 2]; None if none."""
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
    pixels = polygon[:, :2] / polygon[:, 2:] * [k[0, 0], k[1, 1]] + [k[0, 2], k[1, 2]]
    return pixels


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
