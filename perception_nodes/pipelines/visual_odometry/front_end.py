# SPDX-License-Identifier: Apache-2.0
"""What a feature front end does for odometry: find points and find them again, with covariance."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perception_nodes.types import Array, FloatArray

Grey = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class View:
    """One image made ready for matching.

    Attributes
    ----------
    grey : uint8 [H, W], what is compared; a front end may have levelled its contrast.
    half : uint8 [H/2, W/2], for coarse search.
    keypoints_px, descriptors, scores : float32 [M, 2], [M, D], [M] of a learned front end; else
        None.
    """

    grey: Grey
    half: Grey
    keypoints_px: FloatArray | None = None
    descriptors: FloatArray | None = None
    scores: FloatArray | None = None


@dataclass(frozen=True)
class Found:
    """Points of one image found in another.

    Attributes
    ----------
    points_px : float64 [N, 2], NaN where not found.
    covariance_px2 : float64 [N, 2, 2] of the points.
    valid : bool [N].
    """

    points_px: FloatArray
    covariance_px2: FloatArray
    valid: Bools


class FrontEnd(Protocol):
    """Finds features and finds them again, in time and across the stereo pair."""

    def view(self, grey: Grey, image: Array) -> View:
        """Prepare an image: uint8 [H, W] and what the camera gave, uint8 [H, W] or [H, W, 3]."""
        ...

    def detect(self, view: View, taken_px: FloatArray, count: int) -> FloatArray:
        """Choose up to ``count`` new points [M, 2] (px), spread out and away from ``taken_px``."""
        ...

    def follow(
        self, view0: View, points0_px: FloatArray, view1: View, guess1_px: FloatArray
    ) -> Found:
        """Find points [N, 2] of view 0 in view 1, near a guess [N, 2]."""
        ...
