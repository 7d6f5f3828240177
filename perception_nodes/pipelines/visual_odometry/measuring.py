# SPDX-License-Identifier: Apache-2.0
"""Measurements (u, v, disparity) of features, followed or new, in one stereo pair."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.pipelines.visual_odometry import mask, stereo
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.front_end import FrontEnd, Indices, View
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.row_search import coarse_disparity
from perception_nodes.types import Depth, FloatArray, Segmentation


@dataclass(frozen=True)
class Pair:
    """What one call brought, made ready."""

    left: View
    right: View
    depth: Depth | None = None
    segmentation: Segmentation | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return int(self.left.grey.shape[1]), int(self.left.grey.shape[0])


@dataclass(frozen=True)
class Measured:
    """Features measured in a pair.

    Attributes
    ----------
    rows : int [n] which of the features that were asked for.
    values_px : [n, 3] (u, v, disparity), the disparity NaN where the right image has no match.
    covariance_px2 : [n, 3, 3]. weights : [n] 0..1 by the class of the pixel.
    """

    rows: Indices
    values_px: FloatArray
    covariance_px2: FloatArray
    weights: FloatArray


class Measuring:
    """Front end, rig and settings together; keeps nothing from pair to pair."""

    def __init__(
        self, front_end: FrontEnd, projection: StereoProjection, config: VisualOdometryConfig
    ) -> None:
        self._front_end = front_end
        self._projection = projection
        self._config = config

    def follow(
        self, view0: View, points0_px: FloatArray, pair: Pair, guess_px: FloatArray
    ) -> Measured:
        """Find features of an older view again.

        Parameters
        ----------
        points0_px : [N, 2] in ``view0``. guess_px : [N, 3] (u, v, disparity) expected now.
        """
        found = self._front_end.follow(view0, points0_px, pair.left, guess_px[:, :2])
        rows = np.flatnonzero(found.valid)
        points = found.points_px[rows]
        return self._complete(pair, rows, points, found.covariance_px2[rows], guess_px[rows, 2])

    def fresh(self, pair: Pair, taken_px: FloatArray, count: int) -> Measured:
        """Detect features away from those taken [N, 2], and keep those with a disparity."""
        points = self._front_end.detect(pair.left, taken_px, count)
        points = points[self._weights(pair, points) > 0]
        # A new feature is where it was detected, by definition: only its disparity is uncertain.
        exact = np.tile(np.eye(2) * self._config.pixel_sigma_floor**2, (len(points), 1, 1))
        rows = np.arange(len(points))
        measured = self._complete(pair, rows, points, exact, self._coarse(pair, points))
        good = np.isfinite(measured.values_px[:, 2])
        return Measured(
            rows[good], measured.values_px[good], measured.covariance_px2[good],
            measured.weights[good],
        )

    def _complete(
        self, pair: Pair, rows: Indices, points_px: FloatArray, covariance_px2: FloatArray,
        disparity_guess_px: FloatArray,
    ) -> Measured:
        """Add disparity and weight to pixels."""
        disparity, variance = stereo.match_across(
            self._front_end, pair.left, pair.right, points_px, disparity_guess_px,
            self._projection, self._config.max_epipolar_px,
        )
        if pair.depth is not None:
            offered = stereo.sample_depth(pair.depth, points_px, self._projection, *pair.size)
            disparity, variance = stereo.join((disparity, variance), offered)
        covariance = np.zeros((len(points_px), 3, 3))
        covariance[:, :2, :2] = covariance_px2
        covariance[:, 2, 2] = np.where(np.isfinite(variance), variance, 1.0)
        values = np.concatenate([points_px, disparity[:, None]], axis=1)
        return Measured(rows, values, covariance, self._weights(pair, points_px))

    def _coarse(self, pair: Pair, points_px: FloatArray) -> FloatArray:
        """Disparities to start from [N]: the depth image's, else a search along the row."""
        guess = np.full(len(points_px), np.nan)
        if pair.depth is not None:
            guess = stereo.sample_depth(pair.depth, points_px, self._projection, *pair.size)[0]
        unknown = np.flatnonzero(np.isnan(guess))
        widest = self._config.max_disparity_fraction * pair.size[0]
        searched = coarse_disparity(pair.left.half, pair.right.half, points_px[unknown], widest)
        guess[unknown] = searched - self._projection.cx_gap
        return guess

    def _weights(self, pair: Pair, points_px: FloatArray) -> FloatArray:
        if pair.segmentation is None:
            return np.ones(len(points_px))
        config = self._config
        return mask.feature_weights(
            pair.segmentation, points_px, *pair.size, mover_classes=config.mover_classes,
            mover_weight=config.mover_weight, ignored_classes=config.ignored_classes,
        )
