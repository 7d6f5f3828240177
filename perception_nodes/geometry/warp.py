# SPDX-License-Identifier: Apache-2.0
"""Sampling images along motion, and the motion that depth and ego-motion explain.

Flow follows types.Flow: on the grid of the newest image, the scene point at p was at
``p - flow_px[p]`` in the older one.
"""

import numpy as np

from perception_nodes.geometry.camera import project_points
from perception_nodes.geometry.se3 import transform_points
from perception_nodes.geometry.stereo import points_from_depth
from perception_nodes.types import Array, FloatArray

__all__ = [
    'flow_from_depth_and_motion',
    'forward_backward_consistent',
    'pixel_grid',
    'sample_bilinear',
    'warp_by_flow',
]


def pixel_grid(height: int, width: int) -> FloatArray:
    """Coordinates (x, y) of every pixel, float32 [H, W, 2]."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def sample_bilinear(image: Array, xy_px: FloatArray) -> FloatArray:
    """Read an image between its pixels.

    Parameters
    ----------
    image : [H, W] or [H, W, C]; NaN is invalid and spreads to the samples that touch it.
    xy_px : [..., 2] (x, y) pixels.

    Returns
    -------
    float32 [...] or [..., C]; NaN outside the pixel centres' rectangle and where xy_px is NaN.
    """
    height, width = image.shape[:2]
    x, y = np.asarray(xy_px[..., 0], np.float64), np.asarray(xy_px[..., 1], np.float64)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    x0, y0 = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    # On a pixel's row or column the neighbour has no weight and must not spread its NaN.
    x1, y1 = np.where(x == x0, x0, x1), np.where(y == y0, y0, y1)
    fraction_x, fraction_y = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    if image.ndim == 3:
        fraction_x, fraction_y = fraction_x[..., None], fraction_y[..., None]
        inside = inside[..., None]
    values = image.astype(np.float32, copy=False)
    top = values[y0, x0] * (1 - fraction_x) + values[y0, x1] * fraction_x
    bottom = values[y1, x0] * (1 - fraction_x) + values[y1, x1] * fraction_x
    blended: FloatArray = top * (1 - fraction_y) + bottom * fraction_y
    return np.where(inside, blended, np.float32(np.nan))


def warp_by_flow(image0: Array, flow_px: FloatArray) -> FloatArray:
    """Bring the older image onto the newest grid.

    Parameters
    ----------
    image0 : older image [H, W] or [H, W, C].
    flow_px : [H, W, 2], see types.Flow; NaN invalid.

    Returns
    -------
    float32, image0 at ``p - flow_px[p]``; NaN outside and where the flow is invalid.
    """
    grid = pixel_grid(*flow_px.shape[:2])
    return sample_bilinear(image0, grid - flow_px)


def flow_from_depth_and_motion(
    depth1_m: FloatArray, k: FloatArray, camera0_from_camera1: FloatArray
) -> FloatArray:
    """Flow of a static scene seen by a moving camera.

    Parameters
    ----------
    depth1_m : [H, W] depth of the newest image, metres, NaN invalid.
    k : [3, 3] intrinsics, pixels.
    camera0_from_camera1 : [4, 4] newest camera's pose in the older camera's optical frame.

    Returns
    -------
    float32 [H, W, 2] pixels on the newest grid; NaN without depth or if the point was behind the
    older camera.
    """
    points1 = points_from_depth(depth1_m, k)
    points0 = transform_points(camera0_from_camera1, points1.astype(np.float64))
    flow = pixel_grid(*depth1_m.shape[:2]) - project_points(points0, k)
    return flow.astype(np.float32)


def forward_backward_consistent(
    flow_px: FloatArray,
    reverse_flow_px: FloatArray,
    *,
    relative: float = 0.01,
    absolute_px2: float = 0.5,
) -> Array:
    """Tell where two flows of one image pair undo each other; elsewhere is occlusion or error.

    Parameters
    ----------
    flow_px : [H, W, 2] from image0 to image1, on the grid of image1.
    reverse_flow_px : [H, W, 2] of the pair in reverse order, on the grid of image0.
    relative, absolute_px2 : ``|f + r|^2 < relative (|f|^2 + |r|^2) + absolute_px2``.

    Returns
    -------
    bool [H, W] on the grid of image1; False where either flow is invalid or leaves the image.

    Notes
    -----
    N. Sundaram, T. Brox, K. Keutzer, "Dense point trajectories by GPU-accelerated large
    displacement optical flow", ECCV 2010, equation 5.
    """
    grid = pixel_grid(*flow_px.shape[:2])
    reverse = sample_bilinear(reverse_flow_px, grid - flow_px)
    mismatch = np.sum((flow_px + reverse) ** 2, axis=-1)
    lengths = np.sum(flow_px**2, axis=-1) + np.sum(reverse**2, axis=-1)
    return np.asarray(mismatch < relative * lengths + absolute_px2)
