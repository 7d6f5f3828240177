# SPDX-License-Identifier: Apache-2.0
"""The motion since the last keyframe without any guess: ORB descriptors, stereo points, P3P."""

from typing import Any

import cv2
import numpy as np

from perception_nodes.pipelines.visual_odometry.front_end import Grey, View
from perception_nodes.pipelines.visual_odometry.motion import rotation_translation
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.row_search import coarse_disparity
from perception_nodes.types import FloatArray

_FEATURES = 1000
_RATIO = 0.8  # best over second best distance (Lowe 2004)


def motion_by_descriptors(
    keyframe_left: View, keyframe_right: View, now: View, projection: StereoProjection, *,
    min_inliers: int, max_disparity_px: float,
) -> FloatArray | None:
    """Estimate camera_now_from_keyframe [4, 4] roughly; None if too few matches agree."""
    orb: Any = cv2.ORB_create(_FEATURES)  # type: ignore[attr-defined]
    points0, descriptors0 = _describe(orb, keyframe_left)
    points1, descriptors1 = _describe(orb, now)
    if min(len(points0), len(points1)) < min_inliers:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(descriptors0, descriptors1, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < _RATIO * p[1].distance]
    if len(good) < min_inliers:
        return None
    points0 = points0[[match.queryIdx for match in good]]
    points1 = points1[[match.trainIdx for match in good]]
    disparity = coarse_disparity(
        keyframe_left.half, keyframe_right.half, points0, max_disparity_px
    ) - projection.cx_gap
    near = disparity > 1.0
    if near.sum() < min_inliers:
        return None
    landmarks = projection.landmarks(np.column_stack([points0, disparity])[near])
    rays = np.column_stack([landmarks[:, :2], np.ones(len(landmarks))])
    cv2.setRNGSeed(0)
    found, rotation, translation, inliers = cv2.solvePnPRansac(
        rays / landmarks[:, 2:], points1[near], projection.k, None, iterationsCount=500,
        reprojectionError=3.0, confidence=0.999, flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or inliers is None or len(inliers) < min_inliers:
        return None
    return rotation_translation(rotation, translation)


def _describe(orb: Any, view: View) -> tuple[FloatArray, Grey]:
    keypoints, descriptors = orb.detectAndCompute(view.grey, None)
    points = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64).reshape(-1, 2)
    if descriptors is None:
        descriptors = np.zeros((0, 32), np.uint8)
    return points, np.asarray(descriptors, np.uint8)
