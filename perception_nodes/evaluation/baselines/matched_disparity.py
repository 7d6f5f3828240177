# SPDX-License-Identifier: Apache-2.0
"""What OpenCV's block matchers share: one way, holes filled, a constant sigma for either kind."""

import cv2
import numpy as np

from perception_nodes.inference.classical.sgbm import fill_along_row, padded_compute, search_range
from perception_nodes.pipelines.images import grey
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, require_pair, stereo_depth
from perception_nodes.types import Depth, Image, StereoRig

__all__ = ['fill_along_row', 'matched_depth', 'search_range']


def matched_depth(
    matcher: cv2.StereoMatcher, left: Image, right: Image, rig: StereoRig, *,
    sigma_px: float, filled_sigma_px: float, config: StereoDepthConfig,
) -> Depth:
    """Match a pair, fill the holes along the row and assign each kind of pixel its sigma.

    Parameters
    ----------
    sigma_px, filled_sigma_px : constants, of matched pixels and of filled holes.
    """
    require_pair(left, right, rig)
    matched = padded_compute(matcher, grey(left), grey(right))
    sigma = np.where(np.isfinite(matched), np.float32(sigma_px), np.float32(filled_sigma_px))
    return stereo_depth(left, rig, fill_along_row(matched), sigma, config)
