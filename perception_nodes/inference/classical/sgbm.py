# SPDX-License-Identifier: Apache-2.0
"""Semi-global matching (Hirschmueller 2008), OpenCV's StereoSGBM in its 3-way mode, both ways.

What left and right do not agree on is filled from the farther neighbour in its row and gets the
sigma of filled pixels. Sigma is in shares of the image's width, since errors of matching grow with
the resolution.
"""

from typing import Any

import cv2
import numpy as np

from perception_nodes.inference.classical.runner import ClassicalRunner, spread
from perception_nodes.inference.classical.sigma_table import SigmaTable
from perception_nodes.inference.model_card import ANY, ModelCard, TensorSpec
from perception_nodes.types import Array, FloatArray, PerceptionError

SEARCHED = 0.15  # of the width
_BLOCK_PX = 5
_AGREE_PX = 2.0  # left and right further apart than this are no match

SGBM_CARD = ModelCard(
    name='sgbm', task='stereo_depth',
    summary='semi-global matching by OpenCV, both ways, with a calibrated one-sigma',
    inputs=(
        TensorSpec('left', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
        TensorSpec('right', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
    ),
    outputs=(
        TensorSpec('disparity_px', 'float32', (1, ANY, ANY), 'px', 'on the left grid, >= 0'),
        TensorSpec('sigma_px', 'float32', (1, ANY, ANY), 'px', 'one sigma of the disparity'),
    ),
    training={'data': 'none: nothing is learned but the table of sigma'},
    results={
        'kitti_stereo': {'d1': 0.074, 'epe_px': 1.51, 'coverage1': 0.732, 'coverage2': 0.933,
                         'ause': 0.252},
        'middlebury_stereo': {'bad2': 0.0636, 'epe_px': 0.799, 'coverage1': 0.788,
                              'coverage2': 0.94, 'ause': 0.239},
    },
    calibration={
        'max_disparity_fraction': SEARCHED,
        'unit': 'share of the width',
        'gap_edges': [1.2e-4, 2.7e-4, 5.5e-4],
        'spread_edges': [1.5e-3, 4e-3, 1.5e-2],
        'sigma': [
            [0.000678, 0.000607, 0.00203, 0.00788],
            [0.000944, 0.00085, 0.00264, 0.00953],
            [0.00121, 0.00113, 0.00318, 0.0133],
            [0.00158, 0.00153, 0.00366, 0.0157],
            [0.0052, 0.00291, 0.00645, 0.0207],
        ],
        'fitted_on': 'half of 15 KITTI 2015 pairs and 65 % of a drive with LiDAR',
        'held_out': {
            'KITTI 2015, the other pairs': {'coverage1': 0.72, 'coverage2': 0.919, 'ause': 0.246},
            'the last 26 % of the drive': {'coverage1': 0.772, 'coverage2': 0.909, 'ause': 0.258},
            'Middlebury': {'coverage1': 0.782, 'coverage2': 0.937, 'ause': 0.275},
        },
    },
)


class SgbmRunner(ClassicalRunner):
    """Rectified pair in; disparity and its sigma out."""

    def __init__(self) -> None:
        super().__init__(SGBM_CARD)
        self._table = SigmaTable.of(SGBM_CARD.calibration)

    def answer(self, first: Array, second: Array) -> dict[str, Array]:
        """Match left and right, both ways."""
        disparity, gap, change = match_both_ways(first, second)
        sigma = self._table(gap, change) * np.float32(first.shape[1])
        sigma = np.where(np.isfinite(disparity), sigma, np.float32(np.nan))
        return {'disparity_px': disparity[None], 'sigma_px': sigma[None]}


def match_both_ways(left: Array, right: Array) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Disparity, and by what its sigma is read off the table; all float32 [H, W].

    Returns
    -------
    disparity_px : holes filled; NaN in a row without any match.
    gap : between left's and right's opinion, in widths; NaN where they do not agree.
    change : spread of the disparity around the pixel, in widths.
    """
    width = left.shape[1]
    matcher = _matcher(width)
    forth = padded_compute(matcher, left, right)
    back = padded_compute(matcher, right[:, ::-1], left[:, ::-1])[:, ::-1]
    there = np.arange(width, dtype=np.float32) - np.nan_to_num(forth)
    column = np.clip(np.rint(there), 0, width - 1).astype(np.intp)
    gap = np.abs(forth - np.take_along_axis(back, column, axis=1))
    gap[~((gap <= _AGREE_PX) & (there >= 0))] = np.nan
    disparity = fill_along_row(np.where(np.isfinite(gap), forth, np.nan))
    return disparity, gap / np.float32(width), spread(disparity) / np.float32(width)


def search_range(width: int, max_disparity_px: int = 0) -> int:
    """Disparities to try, a multiple of 16: as configured, or for 0 about 15 % of the width."""
    wanted = max_disparity_px or SEARCHED * width
    return 16 * max(1, int(np.ceil(wanted / 16)))


def padded_compute(matcher: Any, left: Array, right: Array) -> FloatArray:
    """Match with padding at the left, where OpenCV returns nothing up to the largest disparity.

    Parameters
    ----------
    matcher : one of OpenCV's stereo matchers. left, right : uint8 [H, W].

    Returns
    -------
    float32 [H, W] pixels, NaN where there is no match.

    Raises
    ------
    PerceptionError
        If the images are narrower than the search.
    """
    reach = matcher.getNumDisparities()
    if left.shape[1] <= reach + matcher.getBlockSize():
        raise PerceptionError(
            f'an image {left.shape[1]} px wide is too narrow to search {reach} disparities'
        )
    padded = (
        cv2.copyMakeBorder(np.ascontiguousarray(image), 0, 0, reach, 0, cv2.BORDER_REPLICATE)
        for image in (left, right)
    )
    raw = np.asarray(matcher.compute(*padded)[:, reach:])
    return np.asarray(np.where(raw > 0, raw * np.float32(1 / 16), np.float32(np.nan)))


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


def _matcher(width: int) -> Any:
    area = _BLOCK_PX**2
    return cv2.StereoSGBM_create(  # type: ignore[attr-defined]
        minDisparity=0, numDisparities=search_range(width), blockSize=_BLOCK_PX,
        P1=8 * area, P2=32 * area, preFilterCap=31, uniquenessRatio=10, speckleWindowSize=100,
        speckleRange=2, mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
