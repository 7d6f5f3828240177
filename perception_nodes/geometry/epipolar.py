# SPDX-License-Identifier: Apache-2.0
"""Two views of one scene: the epipolar constraint and triangulation.

R. Hartley and A. Zisserman, "Multiple View Geometry", 2nd edition, chapters 9, 11 and 12.
"""

import numpy as np

from perception_nodes.geometry.se3 import skew
from perception_nodes.types import FloatArray

__all__ = ['fundamental_from_pose', 'sampson_distance', 'triangulate']


def fundamental_from_pose(
    k0: FloatArray, k1: FloatArray, camera1_from_camera0: FloatArray
) -> FloatArray:
    """Fundamental matrix [3, 3], ``x1^T F x0 = 0``, of two pinholes and their relative pose."""
    rotation, translation = camera1_from_camera0[:3, :3], camera1_from_camera0[:3, 3]
    essential = skew(translation) @ rotation
    fundamental: FloatArray = np.linalg.inv(k1).T @ essential @ np.linalg.inv(k0)
    return fundamental


def sampson_distance(
    fundamental: FloatArray, xy0_px: FloatArray, xy1_px: FloatArray
) -> FloatArray:
    """First-order distance of matches to the epipolar constraint, pixels >= 0.

    Parameters
    ----------
    fundamental : [3, 3], ``x1^T F x0 = 0``.
    xy0_px, xy1_px : [..., 2] matched pixels of the two images.

    Returns
    -------
    float64 [...]; NaN where both epipolar lines vanish (at the epipoles).
    """
    x0, x1 = _homogeneous(xy0_px), _homogeneous(xy1_px)
    line1, line0 = x0 @ fundamental.T, x1 @ fundamental
    residual = np.abs(np.sum(x1 * line1, axis=-1))
    gradient = np.sqrt(
        np.sum(line1[..., :2] ** 2, axis=-1) + np.sum(line0[..., :2] ** 2, axis=-1)
    )
    distance: FloatArray = np.full_like(residual, np.nan)
    np.divide(residual, gradient, out=distance, where=gradient > 0)
    return distance


def triangulate(
    projection0: FloatArray, projection1: FloatArray, xy0_px: FloatArray, xy1_px: FloatArray
) -> FloatArray:
    """Intersect the rays of matched pixels (direct linear transform).

    Parameters
    ----------
    projection0, projection1 : [3, 4] pixels from points of one common frame.
    xy0_px, xy1_px : [N, 2] matched pixels.

    Returns
    -------
    float64 [N, 3] points of the common frame; NaN where rays are parallel or the point lies
    behind a camera.
    """
    xy0, xy1 = np.asarray(xy0_px, np.float64), np.asarray(xy1_px, np.float64)
    rows = np.stack(
        [
            xy0[:, :1] * projection0[2] - projection0[0],
            xy0[:, 1:] * projection0[2] - projection0[1],
            xy1[:, :1] * projection1[2] - projection1[0],
            xy1[:, 1:] * projection1[2] - projection1[1],
        ],
        axis=1,
    )
    rows = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    solution = np.linalg.svd(rows)[2][:, -1]
    scale = solution[:, 3:]
    finite = np.abs(scale) > 1e-12
    points = solution[:, :3] / np.where(finite, scale, 1.0)
    homogeneous = np.concatenate([points, np.ones_like(scale)], axis=1)
    front = (homogeneous @ projection0[2] > 0) & (homogeneous @ projection1[2] > 0)
    return np.where(finite & front[:, None], points, np.nan)


def _homogeneous(xy: FloatArray) -> FloatArray:
    xy = np.asarray(xy, dtype=np.float64)
    return np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
