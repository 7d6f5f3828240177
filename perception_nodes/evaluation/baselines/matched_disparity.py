# SPDX-License-Identifier: Apache-2.0
"""What OpenCV's block matchers share: the search range, their fixed point, holes, a sigma."""

import cv2
import numpy as np

from perception_nodes.pipelines.images import grey
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, require_pair, stereo_depth
from perception_nodes.types import Array, Depth, FloatArray, Image, PerceptionError, StereoRig

FIXED_POINT = np.float32(1 / 16)


def search_range(width: int, max_disparity_px: int) -> int:
    """Disparities to try, a multiple of 16: as told, or for 0 about 15 % of the width."""
    wanted = max_disparity_px or 0.15 * width
    return 16 * max(1, int(np.ceil(wanted / 16)))


def matched_depth(
    matcher: cv2.StereoMatcher, left: Image, right: Image, rig: StereoRig, *,
    sigma_px: float, filled_sigma_px: float, config: StereoDepthConfig,
) -> Depth:
    """Match a pair, fill the holes along the row and give each kind of pixel its sigma.

    Parameters
    ----------
    sigma_px, filled_sigma_px : constants, of matched pixels and of filled holes.
    """
    require_pair(left, right, rig)
    reach = matcher.getNumDisparities()
    if left.width <= reach + matcher.getBlockSize():
        raise PerceptionError(
            f'an image {left.width} px wide is too narrow to search {reach} disparities: '
            'set max_disparity_px lower'
        )
    raw = _padded_compute(matcher, grey(left), grey(right), reach)
    matched = raw > 0
    disparity = fill_along_row(np.where(matched, raw * FIXED_POINT, np.nan))
    sigma = np.where(matched, np.float32(sigma_px), np.float32(filled_sigma_px))
    return stereo_depth(left, rig, disparity, sigma, config)


def _padded_compute(matcher: cv2.StereoMatcher, left: Array, right: Array, reach: int) -> Array:
    """Match with room at the left, where OpenCV gives nothing up to the largest disparity."""
    left, right = (
        cv2.copyMakeBorder(image, 0, 0, reach, 0, cv2.BORDER_REPLICATE) for image in (left, right)
    )
    return np.asarray(matcher.compute(left, right)[:, reach:])


def fill_along_row(disparity_px: FloatArray) -> FloatArray:
    """Fill each hole with the smaller of its neighbours in the row: a hole is background.

    Parameters
    ----------
    disparity_px : [H, W], NaN = hole. A row of holes alone stays NaN.

    Returns
    -------
    float32 [H, W].
    """
    width = disparity_px.shape[1]
    column = np.arange(width)
    known = np.isfinite(disparity_px)
    before = np.maximum.accumulate(np.where(known, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, column, width)[:, ::-1], axis=1)[:, ::-1]
    left = np.take_along_axis(disparity_px, before.clip(0), axis=1)
    right = np.take_along_axis(disparity_px, after.clip(None, width - 1), axis=1)
    left, right = np.where(before >= 0, left, np.inf), np.where(after < width, right, np.inf)
    filled = np.minimum(left, right)
    return np.where(np.isfinite(filled), filled, np.nan).astype(np.float32)
