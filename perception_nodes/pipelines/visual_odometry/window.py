# SPDX-License-Identifier: Apache-2.0
"""The last keyframes, their landmarks and what each keyframe measured of them."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.pipelines.visual_odometry.front_end import Indices
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.rig_offset import RigOffset
from perception_nodes.types import FloatArray


@dataclass
class Keyframe:
    """One pose of the window.

    Attributes
    ----------
    odom_from_camera : [4, 4].
    covariance : [6, 6] of the right perturbation ``odom_from_camera @ exp(xi)``: m, rad.
    """

    odom_from_camera: FloatArray
    covariance: FloatArray


class Window:
    """Keyframes (oldest first), landmarks and what each keyframe measured of them.

    Attributes
    ----------
    landmarks : [L, 3] (x, y, q) in the camera of the landmark's anchor keyframe.
    anchor : int [L] index of that keyframe.
    measured_px : [L, K, 3] (u, v, disparity), NaN where not seen; covariance_px2 [L, K, 3, 3].
    weights : [L] 0..1.
    offset : of all measured disparities, learned on the way.
    """

    def __init__(self, size: int, projection: StereoProjection, offset: RigOffset) -> None:
        self.size = size
        self.projection = projection
        self.offset = offset
        self.variance_factor = 1.0
        self.keyframes: list[Keyframe] = []
        self.landmarks: FloatArray = np.zeros((0, 3))
        self.landmark_covariance: FloatArray = np.zeros((0, 3, 3))
        self.anchor: Indices = np.zeros(0, dtype=np.intp)
        self.measured_px: FloatArray = np.zeros((0, 0, 3))
        self.covariance_px2: FloatArray = np.zeros((0, 0, 3, 3))
        self.weights: FloatArray = np.zeros(0)

    def add_keyframe(
        self, odom_from_camera: FloatArray, covariance: FloatArray, index: Indices,
        measured_px: FloatArray, covariance_px2: FloatArray,
    ) -> None:
        """Append a pose and what it saw of the landmarks ``index`` [n]."""
        self.keyframes.append(Keyframe(odom_from_camera, covariance))
        count = len(self.landmarks)
        column = np.full((count, 1, 3), np.nan)
        spread = np.tile(np.eye(3), (count, 1, 1, 1))
        column[index, 0], spread[index, 0] = measured_px, covariance_px2
        self.measured_px = np.concatenate([self.measured_px, column], axis=1)
        self.covariance_px2 = np.concatenate([self.covariance_px2, spread], axis=1)

    def add_landmarks(
        self, measured_px: FloatArray, covariance_px2: FloatArray, weights: FloatArray
    ) -> Indices:
        """Start landmarks that the newest keyframe sees; return their indices."""
        first, count, poses = len(self.landmarks), len(measured_px), len(self.keyframes)
        row = np.full((count, poses, 3), np.nan)
        spread = np.tile(np.eye(3), (count, poses, 1, 1))
        row[:, -1], spread[:, -1] = measured_px, covariance_px2
        corrected = measured_px - np.array([0, 0, self.offset.applied_px])
        landmarks = self.projection.landmarks(corrected)
        landmarks[:, 2] = np.maximum(landmarks[:, 2], 1e-5)
        scale = 1.0 / self.projection.scale
        self.landmarks = np.concatenate([self.landmarks, landmarks])
        self.landmark_covariance = np.concatenate(
            [self.landmark_covariance, covariance_px2 * scale[:, None] * scale]
        )
        self.anchor = np.concatenate([self.anchor, np.full(count, poses - 1)])
        self.measured_px = np.concatenate([self.measured_px, row])
        self.covariance_px2 = np.concatenate([self.covariance_px2, spread])
        self.weights = np.concatenate([self.weights, weights])
        return np.arange(first, first + count)

    def in_newest(self, index: Indices) -> tuple[FloatArray, FloatArray]:
        """Landmarks (x, y, q) [n, 3] seen from the newest keyframe, and covariance [n, 3, 3]."""
        poses = np.stack([keyframe.odom_from_camera for keyframe in self.keyframes])
        newest_from = np.linalg.inv(poses[-1]) @ poses
        predicted, _, by_landmark = self.projection.predict(
            self.landmarks[index], newest_from[self.anchor[index]]
        )
        scale = 1.0 / self.projection.scale
        moved = by_landmark * scale[:, None]
        covariance = moved @ self.landmark_covariance[index] @ moved.transpose(0, 2, 1)
        return self.projection.landmarks(predicted), covariance

    def shrink(self, tracked: Indices) -> Indices:
        """Drop the oldest keyframe if there are too many, and landmarks that add no information.

        Parameters
        ----------
        tracked : indices that are still followed.

        Returns
        -------
        int [L_before] new index of each landmark, -1 where dropped.
        """
        if len(self.keyframes) > self.size:
            self._drop_oldest()
        seen = np.isfinite(self.measured_px[..., 0])
        followed = np.zeros(len(self.landmarks), dtype=bool)
        followed[tracked] = True
        keep = (seen.sum(axis=1) >= 2) | (followed & seen.any(axis=1))
        renumbered = np.where(keep, np.cumsum(keep) - 1, -1)
        for name in (
            'landmarks', 'landmark_covariance', 'anchor', 'measured_px', 'covariance_px2',
            'weights',
        ):
            setattr(self, name, getattr(self, name)[keep])
        return renumbered

    def _drop_oldest(self) -> None:
        """Forget keyframe 0; its landmarks go to the next keyframe that sees them."""
        seen = np.isfinite(self.measured_px[..., 0])
        seen[:, 0] = False
        heir = seen.argmax(axis=1)
        moving = np.flatnonzero((self.anchor == 0) & seen.any(axis=1))
        poses = np.stack([keyframe.odom_from_camera for keyframe in self.keyframes])
        to_heir = np.linalg.inv(poses) @ poses[0]
        predicted, _, _ = self.projection.predict(self.landmarks[moving], to_heir[heir[moving]])
        self.landmarks[moving] = self.projection.landmarks(predicted)
        self.anchor[moving] = heir[moving]
        self.anchor = self.anchor - 1
        self.measured_px = self.measured_px[:, 1:]
        self.covariance_px2 = self.covariance_px2[:, 1:]
        gone = (self.anchor < 0) | ~np.isfinite(self.landmarks).all(axis=1)
        self.measured_px[gone] = np.nan
        self.keyframes.pop(0)
