# SPDX-License-Identifier: Apache-2.0
"""Plain stereo odometry: ORB matched across the pair and to the last frame, PnP with RANSAC."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.images import grey, require_size
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.types import (
    Array,
    Depth,
    FloatArray,
    Image,
    Odometry,
    Segmentation,
    StereoRig,
)

FEATURES = 1500
RATIO = 0.8  # best over second best distance
ROW_PX = 2.0  # a stereo match lies on its row
LEAST = 12
# Fixed, for lack of anything better: of one step, metres and radians.
STEP_SIGMA = np.array([0.03, 0.03, 0.03, 0.002, 0.002, 0.002])


@dataclass(frozen=True)
class _Frame:
    stamp_ns: int
    points_m: FloatArray
    descriptors: Array


class OrbOdometryPipeline:
    """Frame-to-frame motion, chained; a frame that fails repeats the pose."""

    runners = ()

    def __init__(self, config: VisualOdometryConfig | None = None) -> None:
        self.config = config or VisualOdometryConfig()
        self._orb: Any = cv2.ORB_create(FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self.reset()

    def reset(self) -> None:
        """Start at the origin."""
        self._last: _Frame | None = None
        self._odom_from_camera = self.config.base_from_camera_matrix
        self._steps = 0

    def __call__(
        self, left: Image, right: Image, rig: StereoRig, depth: Depth | None = None,
        segmentation: Segmentation | None = None,
    ) -> Odometry:
        """Take a rectified pair; depth and segmentation are not used."""
        require_size(left, rig.left, 'the left image')
        require_size(right, rig.right, 'the right image')
        if self._last is not None and left.stamp_ns < self._last.stamp_ns:
            self.reset()
        pixels, bits = self._describe(left)
        before, motion, inliers, elapsed_s = self._last, None, 0, 0.0
        if before is not None:
            elapsed_s = (left.stamp_ns - before.stamp_ns) * 1e-9
            motion, inliers = self._motion(before, pixels, bits, rig)
        if motion is not None:
            self._odom_from_camera = self._odom_from_camera @ se3.inverse(motion)
            self._steps += 1
        points_m, kept = self._triangulate(pixels, bits, right, rig)
        if before is None or motion is not None or len(kept) >= LEAST:
            self._last = _Frame(left.stamp_ns, points_m, bits[kept])
        reason = '' if before is None or motion is not None else 'too few matches agree'
        return self._odometry(left.stamp_ns, motion, elapsed_s, reason, inliers)

    def _describe(self, image: Image) -> tuple[FloatArray, Array]:
        found, bits = self._orb.detectAndCompute(grey(image), None)
        if bits is None:
            return np.zeros((0, 2)), np.zeros((0, 32), np.uint8)
        return np.array([keypoint.pt for keypoint in found], np.float64), bits

    def _match(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Indices of matches that pass the ratio test."""
        if not len(first) or len(second) < 2:
            return np.zeros(0, int), np.zeros(0, int)
        pairs = [
            pair[0] for pair in self._matcher.knnMatch(first, second, k=2)
            if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
        ]
        return (
            np.array([match.queryIdx for match in pairs], int),
            np.array([match.trainIdx for match in pairs], int),
        )

    def _triangulate(
        self, pixels: FloatArray, bits: Array, right: Image, rig: StereoRig
    ) -> tuple[FloatArray, Array]:
        """Points [N, 3] in the left camera, metres, and which features they are."""
        right_pixels, right_bits = self._describe(right)
        i, j = self._match(bits, right_bits)
        if not len(i):
            return np.zeros((0, 3)), i
        k, gap = rig.left.rectified_k, rig.left.p[0, 2] - rig.right.p[0, 2]
        disparity = pixels[i, 0] - right_pixels[j, 0] - gap
        good = (np.abs(pixels[i, 1] - right_pixels[j, 1]) < ROW_PX) & (disparity > 1.0)
        i, disparity = i[good], disparity[good]
        depth_m = rig.focal_px * rig.baseline_m / disparity
        rays = (pixels[i] - k[:2, 2]) / np.diag(k)[:2]
        return np.column_stack([rays, np.ones(len(i))]) * depth_m[:, None], i

    def _motion(
        self, before: _Frame, pixels: FloatArray, bits: Array, rig: StereoRig
    ) -> tuple[FloatArray | None, int]:
        """Return camera_now_from_before [4, 4], or None, and how many matches agree."""
        i, j = self._match(before.descriptors, bits)
        if len(i) < LEAST:
            return None, 0
        points, seen, k = before.points_m[i], pixels[j], rig.left.rectified_k
        found, rotation, translation, kept = cv2.solvePnPRansac(
            points, seen, k, None, iterationsCount=200, reprojectionError=2.0, confidence=0.999,
        )
        if not found or kept is None or len(kept) < LEAST:
            return None, 0
        rotation, translation = cv2.solvePnPRefineLM(
            points[kept[:, 0]], seen[kept[:, 0]], k, None, rotation, translation
        )
        turn = cv2.Rodrigues(rotation)[0]
        return se3.from_rotation_translation(turn, translation), len(kept)

    def _odometry(
        self, stamp_ns: int, motion: FloatArray | None, elapsed_s: float, reason: str, inliers: int
    ) -> Odometry:
        base_from_camera = self.config.base_from_camera_matrix
        twist = np.zeros(6)
        if motion is not None and elapsed_s > 0:
            twist = se3.adjoint(base_from_camera) @ se3.log(se3.inverse(motion)) / elapsed_s
        step = np.diag(STEP_SIGMA**2)
        return Odometry(
            stamp_ns, self.config.odom_frame, self.config.base_frame,
            self._odom_from_camera @ se3.inverse(base_from_camera), step * self._steps, twist,
            step / max(elapsed_s, 1e-3) ** 2, tracking=not reason, reason=reason, inliers=inliers,
            matches=inliers,
        )
