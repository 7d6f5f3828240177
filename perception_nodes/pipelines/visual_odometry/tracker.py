# SPDX-License-Identifier: Apache-2.0
"""Features followed from pair to pair against the last keyframe, and when to make a new one."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry import relocalise
from perception_nodes.pipelines.visual_odometry.adjustment import adjust
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.front_end import Indices
from perception_nodes.pipelines.visual_odometry.measuring import Measured, Measuring, Pair
from perception_nodes.pipelines.visual_odometry.motion import (
    LEAST_AGREEING,
    Motion,
    Reach,
    Sightings,
    find_motion,
)
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.rig_offset import RigOffset
from perception_nodes.pipelines.visual_odometry.window import Keyframe, Window
from perception_nodes.types import FloatArray


@dataclass(frozen=True)
class Tracked:
    """The motion since the last keyframe and the features behind it."""

    motion: Motion
    measured: Measured

    @property
    def matches(self) -> int:
        """Features found again."""
        return len(self.measured.rows)

    @property
    def inliers(self) -> int:
        """Features that agree on the motion."""
        return int(self.motion.inliers.sum())


class Tracker:
    """A window of keyframes and the features that are followed now.

    Parameters
    ----------
    pair : the first keyframe, at ``odom_from_camera`` with ``covariance`` (right perturbation).
    """

    def __init__(
        self, measuring: Measuring, projection: StereoProjection, config: VisualOdometryConfig,
        offset: RigOffset, pair: Pair, odom_from_camera: FloatArray, covariance: FloatArray,
    ) -> None:
        self._measuring = measuring
        self._projection = projection
        self._config = config
        self.window = Window(config.window, projection, offset)
        self._index: Indices = np.zeros(0, dtype=np.intp)  # landmarks that are followed
        self._points_px: FloatArray = np.zeros((0, 2))  # where they are in self._pair
        self._keyframe_points_px: FloatArray = np.zeros((0, 2))  # and were in the keyframe
        self._drift_px2: FloatArray = np.zeros((0, 2, 2))  # covariance since it was detected
        self._keyframe_count = 0
        self._newest: Measured | None = None
        self._pair = self._keyframe_pair = pair
        self._add(pair, odom_from_camera, covariance)

    @property
    def keyframe(self) -> Keyframe:
        """The newest keyframe, that motions start from."""
        return self.window.keyframes[-1]

    @property
    def followed(self) -> int:
        """Features that are followed now."""
        return len(self._index)

    def track(
        self, pair: Pair, camera_from_keyframe: FloatArray, *, guess_known: bool,
        reach: Reach | None = None,
    ) -> Tracked | str:
        """Find the features and the motion, or the reason for failing.

        Parameters
        ----------
        camera_from_keyframe : [4, 4] predicted; guess_known: search where it says, else where the
            features were. reach : how far the motion can be from the predicted one.
        """
        landmarks, covariance = self.window.in_newest(self._index)
        expected, _, _ = self._projection.predict(landmarks, camera_from_keyframe)
        unmoved = np.column_stack([self._points_px, expected[:, 2]])
        result: Tracked | str = 'no features to follow'
        for guess in (expected, unmoved) if guess_known else (unmoved,):
            measured = self._measuring.follow(self._pair.left, self._points_px, pair, guess)
            result = self._solve(measured, landmarks, covariance, camera_from_keyframe, reach)
            if isinstance(result, Tracked):
                break
        return result

    def relocalise(self, pair: Pair) -> Tracked | None:
        """Find the last keyframe again without any guess."""
        start = relocalise.motion_by_descriptors(
            self._keyframe_pair.left, self._keyframe_pair.right, pair.left, self._projection,
            min_inliers=self._config.min_inliers,
            max_disparity_px=self._config.max_disparity_fraction * pair.size[0],
        )
        if start is None:
            return None
        result = self.track(pair, start, guess_known=True)
        return result if isinstance(result, Tracked) else None

    def accept(self, pair: Pair, tracked: Tracked) -> None:
        """Go on from this pair with the features that agree."""
        agree, measured = tracked.motion.inliers, tracked.measured
        rows = measured.rows[agree]
        self._newest = Measured(
            rows, measured.values_px[agree], measured.covariance_px2[agree],
            measured.weights[agree],
        )
        # A feature is followed from pair to pair, so where it is now has all the steps' errors.
        self._drift_px2 = self._drift_px2[rows] + self._newest.covariance_px2[:, :2, :2]
        self._newest.covariance_px2[:, :2, :2] = self._drift_px2
        self._pair = pair
        self._index = self._index[rows]
        self._keyframe_points_px = self._keyframe_points_px[rows]
        self._points_px = self._newest.values_px[:, :2]

    @property
    def keyframe_wanted(self) -> bool:
        """Whether too few features are left, or they moved far."""
        if len(self._index) < self._config.keyframe_kept * self._keyframe_count:
            return True
        moved = np.linalg.norm(self._points_px - self._keyframe_points_px, axis=1)
        return bool(np.median(moved) > self._config.keyframe_parallax_px)

    def add_keyframe(self, odom_from_camera: FloatArray, covariance: FloatArray) -> None:
        """Make the accepted pair a keyframe, take new features, adjust the window."""
        self._add(self._pair, odom_from_camera, covariance)
        adjust(self.window)
        self._index = self.window.shrink(self._index)[self._index]

    def move(self, new_from_old: FloatArray, covariance: FloatArray) -> None:
        """Move the whole window to another place in odom."""
        for keyframe in self.window.keyframes:
            keyframe.odom_from_camera = new_from_old @ keyframe.odom_from_camera
            keyframe.covariance = covariance

    def _add(self, pair: Pair, odom_from_camera: FloatArray, covariance: FloatArray) -> None:
        seen = self._newest
        values = np.zeros((0, 3)) if seen is None else seen.values_px
        spread = np.zeros((0, 3, 3)) if seen is None else seen.covariance_px2
        self.window.add_keyframe(odom_from_camera, covariance, self._index, values, spread)
        missing = self._config.max_features - len(self._index)
        if missing > 0:
            fresh = self._measuring.fresh(pair, self._points_px, missing)
            index = self.window.add_landmarks(
                fresh.values_px, fresh.covariance_px2, fresh.weights
            )
            self._index = np.concatenate([self._index, index])
            self._points_px = np.concatenate([self._points_px, fresh.values_px[:, :2]])
            self._drift_px2 = np.concatenate([self._drift_px2, np.zeros((len(index), 2, 2))])
        self._keyframe_pair = pair
        self._keyframe_points_px = self._points_px.copy()
        self._keyframe_count = len(self._index)

    def _solve(
        self, measured: Measured, landmarks: FloatArray, covariance: FloatArray,
        predicted: FloatArray, reach: Reach | None,
    ) -> Tracked | str:
        """Estimate the motion and refuse one that too few features support."""
        wanted, found = self._config.min_inliers, len(measured.rows)
        if found < wanted:
            return f'only {found} features found again, {wanted} are wanted'
        offset = np.array([0.0, 0.0, self.window.offset.applied_px])
        sightings = Sightings(
            landmarks[measured.rows], covariance[measured.rows], measured.values_px - offset,
            measured.covariance_px2, measured.weights,
        )
        motion = find_motion(sightings, self._projection, predicted, self._config.seed, reach)
        if motion is None:
            return 'the features do not fix a motion'
        inliers = int(motion.inliers.sum())
        if inliers < max(wanted, LEAST_AGREEING * found):
            return f'only {inliers} of {found} features agree on one motion'
        if not np.isfinite(se3.log(motion.camera_from_reference)).all():
            return 'the motion is not finite'
        return Tracked(motion, measured)
