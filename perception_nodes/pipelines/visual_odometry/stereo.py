# SPDX-License-Identifier: Apache-2.0
"""Depth of features: their disparity by matching across the pair, joined with a depth image.

The right image yields (u_right, v_right); with rectified rows the disparity is ``u - u_right`` and
its variance is that of the match along the row. Where a depth image is offered its disparity is a
second, independent opinion: both are averaged by their variances if they agree, the match alone
counts if they do not (a feature at an edge), the depth alone where there is no match.
"""

import numpy as np

from perception_nodes.pipelines.visual_odometry.front_end import FrontEnd, View
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.types import Depth, FloatArray

MIN_DISPARITY_PX = 0.05
_AGREE_SIGMAS = 3.0


def match_across(
    front_end: FrontEnd, left: View, right: View, points_px: FloatArray, guess_px: FloatArray,
    projection: StereoProjection, max_epipolar_px: float,
) -> tuple[FloatArray, FloatArray]:
    """Disparity and its variance, [N] px and px²; NaN where the match fails.

    Parameters
    ----------
    points_px : [N, 2] in the left image. guess_px : [N] disparities to start from, NaN: skip.
    """
    disparity, variance = np.full(len(points_px), np.nan), np.full(len(points_px), np.nan)
    wanted = np.flatnonzero(np.isfinite(guess_px) & np.isfinite(points_px).all(axis=1))
    if not len(wanted):
        return disparity, variance
    start = points_px[wanted]
    shift = np.stack([guess_px[wanted] + projection.cx_gap, np.zeros(len(wanted))], axis=1)
    found = front_end.follow(left, start, right, start - shift)
    measured = start[:, 0] - found.points_px[:, 0] - projection.cx_gap
    off_row = np.abs(found.points_px[:, 1] - start[:, 1])
    with np.errstate(invalid='ignore'):
        good = found.valid & (off_row < max_epipolar_px) & (measured > MIN_DISPARITY_PX)
    disparity[wanted[good]] = measured[good]
    variance[wanted[good]] = found.covariance_px2[good, 0, 0]
    return disparity, variance


def sample_depth(
    depth: Depth, points_px: FloatArray, projection: StereoProjection, width: int, height: int
) -> tuple[FloatArray, FloatArray]:
    """Disparity and variance [N] (px, px²) that a depth image gives at points; NaN where none."""
    rows, columns = depth.depth_m.shape
    points = np.nan_to_num(points_px, nan=-1.0)
    x = np.rint((points[:, 0] + 0.5) * columns / width - 0.5).astype(int)
    y = np.rint((points[:, 1] + 0.5) * rows / height - 0.5).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
    x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    with np.errstate(divide='ignore', invalid='ignore'):
        depth_m = depth.depth_m[y, x].astype(np.float64)
        disparity = projection.bf / depth_m
        sigma_px = disparity * depth.sigma_m[y, x].astype(np.float64) / depth_m
        good = inside & (depth_m > 0) & np.isfinite(disparity) & (sigma_px > 0)
        good &= np.isfinite(sigma_px) & (disparity > MIN_DISPARITY_PX)
    return np.where(good, disparity, np.nan), np.where(good, sigma_px**2, np.nan)


def join(
    matched: tuple[FloatArray, FloatArray], offered: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Join two opinions on the disparities, [N] px with variances [N] px²; NaN: no opinion."""
    a, var_a = matched
    b, var_b = offered
    with np.errstate(invalid='ignore'):
        agree = np.abs(a - b) < _AGREE_SIGMAS * np.sqrt(var_a + var_b)
    joint = 1.0 / (1.0 / var_a + 1.0 / var_b)
    disparity = np.where(agree, joint * (a / var_a + b / var_b), np.where(np.isnan(a), b, a))
    variance = np.where(agree, joint, np.where(np.isnan(a), var_b, var_a))
    return disparity, variance
