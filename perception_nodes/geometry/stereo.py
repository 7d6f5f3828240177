# SPDX-License-Identifier: Apache-2.0
"""Disparity, depth and points of a rectified camera pair."""

import numpy as np

from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['depth_from_disparity', 'disparity_from_depth', 'points_from_depth']


def depth_from_disparity(
    disparity_px: FloatArray, sigma_px: FloatArray, focal_px: float, baseline_m: float
) -> tuple[FloatArray, FloatArray]:
    """Turn disparity and its one-sigma into depth and its one-sigma.

    Parameters
    ----------
    disparity_px : any shape, >= 0; NaN, 0 or negative is invalid.
    sigma_px : same shape, one sigma of the disparity.
    focal_px, baseline_m : of the rectified pair, > 0.

    Returns
    -------
    depth_m, sigma_m : float32, NaN where the disparity is invalid.

    Notes
    -----
    z = f b / d; to first order sigma_z = |dz/dd| sigma_d = z^2 / (f b) sigma_d.
    """
    scale = _focal_baseline(focal_px, baseline_m)
    disparity = np.asarray(disparity_px, dtype=np.float32)
    depth = np.full_like(disparity, np.nan)
    np.divide(np.float32(scale), disparity, out=depth, where=disparity > 0.0)
    sigma = depth * depth * np.asarray(sigma_px, dtype=np.float32) / np.float32(scale)
    return depth, sigma.astype(np.float32)


def disparity_from_depth(depth_m: FloatArray, focal_px: float, baseline_m: float) -> FloatArray:
    """Turn depth [any shape], metres, into disparity, float32 pixels; NaN where depth <= 0."""
    depth = np.asarray(depth_m, dtype=np.float32)
    disparity = np.full_like(depth, np.nan)
    scale = np.float32(_focal_baseline(focal_px, baseline_m))
    np.divide(scale, depth, out=disparity, where=depth > 0.0)
    return disparity


def points_from_depth(depth_m: FloatArray, k: FloatArray) -> FloatArray:
    """Lift a depth image into points of the optical frame.

    Parameters
    ----------
    depth_m : [H, W] metres along the optical axis, NaN invalid.
    k : [3, 3] intrinsics of exactly this image, pixels.

    Returns
    -------
    float32 [H, W, 3] points x right, y down, z forward, metres; NaN where the depth is.
    """
    depth = np.asarray(depth_m, dtype=np.float32)
    rows, columns = depth.shape
    k = np.asarray(k, dtype=np.float64)
    y = ((np.arange(rows) - k[1, 2]) / k[1, 1]).astype(np.float32)
    x = ((np.arange(columns) - k[0, 2]) / k[0, 0]).astype(np.float32)
    points: FloatArray = np.empty((rows, columns, 3), np.float32)
    np.multiply(depth, x[None, :], out=points[..., 0])
    np.multiply(depth, y[:, None], out=points[..., 1])
    points[..., 2] = depth
    return points


def _focal_baseline(focal_px: float, baseline_m: float) -> float:
    if not (focal_px > 0.0 and baseline_m > 0.0):
        raise PerceptionError(
            f'focal length {focal_px:g} px and baseline {baseline_m:g} m must be positive'
        )
    return focal_px * baseline_m
