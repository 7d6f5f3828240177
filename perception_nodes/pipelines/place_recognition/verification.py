# SPDX-License-Identifier: Apache-2.0
"""Whether the matches of two images agree on one relative pose, which, and how sure.

With depth in either image: perspective-n-point and its refinement, metres. Without: the essential
matrix (Nister 2004) yields the rotation; the translation is then unknown but small, which the
covariance says.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.front_end import Bools
from perception_nodes.pipelines.visual_odometry.motion import (
    Sightings,
    refine_motion,
    rotation_translation,
)
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.types import FloatArray

PIXEL_SIGMA = 1.0
THRESHOLD_PX = 3.0
ROTATION_SIGMA_RAD = 0.02  # of a rotation from the essential matrix


@dataclass(frozen=True)
class Side:
    """Matched keypoints of one image.

    Attributes
    ----------
    points_px : [N, 2]. depth_m, sigma_m : [N] metres, NaN unknown. k : [3, 3] intrinsics.
    """

    points_px: FloatArray
    depth_m: FloatArray
    sigma_m: FloatArray
    k: FloatArray

    @property
    def landmarks(self) -> FloatArray:
        """(x, y, q) [N, 3]: ray and inverse depth."""
        xy = (self.points_px - self.k[:2, 2]) / np.diag(self.k)[:2]
        return np.column_stack([xy, 1.0 / self.depth_m])


@dataclass(frozen=True)
class Agreement:
    """Result of the geometric check of two images.

    Attributes
    ----------
    inliers : matches that agree. then_from_now : [4, 4] camera now in the other's camera frame;
    covariance : [6, 6] of its right perturbation, m and rad. None both if there is no pose.
    """

    inliers: int
    then_from_now: FloatArray | None = None
    covariance: FloatArray | None = None


def verify(then: Side, now: Side, min_inliers: int, unknown_scale_m: float) -> Agreement:
    """Estimate the relative pose of two images from their N matches."""
    if len(then.points_px) < max(min_inliers, 8):
        return Agreement(0)
    known_then = np.isfinite(then.depth_m) & (then.depth_m > 0)
    known_now = np.isfinite(now.depth_m) & (now.depth_m > 0)
    if max(known_then.sum(), known_now.sum()) < min_inliers:
        return _by_essential(then, now, min_inliers, unknown_scale_m)
    if known_then.sum() >= known_now.sum():
        inliers, now_from_then, covariance = _by_points(then, now, known_then, min_inliers)
        if now_from_then is None or covariance is None:
            return Agreement(inliers)
        # exp(xi) now_from_then inverts to then_from_now exp(-xi): the same covariance.
        return Agreement(inliers, se3.inverse(now_from_then), covariance)
    inliers, then_from_now, covariance = _by_points(now, then, known_now, min_inliers)
    if then_from_now is None or covariance is None:
        return Agreement(inliers)
    carry = se3.adjoint(se3.inverse(then_from_now))
    return Agreement(inliers, then_from_now, carry @ covariance @ carry.T)


def _by_points(
    source: Side, target: Side, known: Bools, min_inliers: int
) -> tuple[int, FloatArray | None, FloatArray | None]:
    """Inliers, target_from_source [4, 4] and covariance of its left perturbation."""
    landmarks, pixels = source.landmarks[known], target.points_px[known]
    rays = np.column_stack([landmarks[:, :2], np.ones(len(landmarks))])
    cv2.setRNGSeed(0)
    found, rotation, translation, kept = cv2.solvePnPRansac(
        rays / landmarks[:, 2:], np.ascontiguousarray(pixels), target.k, None,
        iterationsCount=300, reprojectionError=THRESHOLD_PX, confidence=0.999,
        flags=cv2.SOLVEPNP_AP3P,
    )
    count = 0 if kept is None else len(kept)
    if not found or count < min_inliers:
        return count, None, None
    start = rotation_translation(rotation, translation)
    spread = np.zeros((len(landmarks), 3, 3))
    depth_m, sigma_m = source.depth_m[known], source.sigma_m[known]
    spread[:, 2, 2] = (np.nan_to_num(sigma_m, nan=0.1 * depth_m.max()) / depth_m**2) ** 2
    pixel = np.tile(np.diag([PIXEL_SIGMA**2, PIXEL_SIGMA**2, 1.0]), (len(landmarks), 1, 1))
    measured = np.column_stack([pixels, np.full(len(pixels), np.nan)])
    k = target.k
    projection = StereoProjection(
        float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]), bf=1.0
    )
    sightings = Sightings(landmarks, spread, measured, pixel, np.ones(len(landmarks)))
    motion = refine_motion(sightings, projection, start)
    if motion is None or motion.inliers.sum() < min_inliers:
        return count, None, None
    return int(motion.inliers.sum()), motion.camera_from_reference, motion.covariance


def _by_essential(
    then: Side, now: Side, min_inliers: int, unknown_scale_m: float
) -> Agreement:
    """Rotation from the essential matrix; the translation is 0 within ``unknown_scale_m``."""
    rays_then, rays_now = then_rays(then), then_rays(now)
    focal = float(np.sqrt(then.k[0, 0] * now.k[0, 0]))
    cv2.setRNGSeed(0)
    essential, mask = cv2.findEssentialMat(
        rays_now, rays_then, np.eye(3), method=cv2.USAC_MAGSAC, prob=0.999,
        threshold=THRESHOLD_PX / 2 / focal,
    )
    if essential is None or essential.shape != (3, 3):
        return Agreement(0)
    count, rotation, _, _ = cv2.recoverPose(essential, rays_now, rays_then, np.eye(3), mask=mask)
    inliers = int(np.count_nonzero(mask)) if count == 0 else int(count)
    if inliers < min_inliers:
        return Agreement(inliers)
    covariance = np.diag([unknown_scale_m**2] * 3 + [ROTATION_SIGMA_RAD**2] * 3)
    turned = se3.from_rotation_translation(np.asarray(rotation, np.float64), np.zeros(3))
    return Agreement(inliers, turned, covariance)


def then_rays(side: Side) -> FloatArray:
    """Normalised image coordinates [N, 2], without gaps in memory."""
    rays = (side.points_px - side.k[:2, 2]) / np.diag(side.k)[:2]
    return np.ascontiguousarray(rays)
