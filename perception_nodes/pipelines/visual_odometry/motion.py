# SPDX-License-Identifier: Apache-2.0
"""From landmarks and where they are seen now to the camera's motion and its covariance.

Hypotheses come from random minimal samples (P3P) and from the predicted motion; each is refined by
Gauss-Newton on stereo reprojection residuals, whitened by their own covariance (measurement plus
landmark), under a Cauchy loss, and the better one is kept. They are compared after that, not
before: where a third of the matches are wrong the loss has more than one minimum, and which start
looks better can hang on a thousandth of a pixel. The covariance is the inverse of the normal
matrix times the residuals' variance, so wrong assumptions about pixels show up in it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.front_end import Bools
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.types import FloatArray

CHI2_MEDIAN_3 = 2.366  # of the chi-square distribution with three degrees of freedom
CHI2_GATE_3 = 16.3  # its 99.9 % quantile
VARIANCE_FLOOR = 0.5  # residuals of one feature are alike, so they look better than they are
_BELIEVED_VARIANCE = 2.0
_MOST_AGREEING = 0.6
# Many that are wrong alike pull even under the loss: they are shut out, step by step.
_NARROWING_GATES = (25 * CHI2_GATE_3, 5 * CHI2_GATE_3, CHI2_GATE_3)
LEAST_AGREEING = 0.25  # of the features: fewer do not determine a motion
CAUCHY_SQUARED = 6.0  # squared residual (over variance, three degrees) where the loss bends


@dataclass(frozen=True)
class Sightings:
    """Landmarks and where they are seen now.

    Attributes
    ----------
    landmarks : [N, 3] (x, y, q) in the reference camera; landmark_covariance [N, 3, 3] of it.
    measured_px : [N, 3] (u, v, disparity) now; disparity NaN where the right image has no match.
    covariance_px2 : [N, 3, 3] of the measurement.
    weights : [N] 0..1 (movers count less).
    """

    landmarks: FloatArray
    landmark_covariance: FloatArray
    measured_px: FloatArray
    covariance_px2: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class Motion:
    """The camera's motion.

    Attributes
    ----------
    camera_from_reference : [4, 4].
    covariance : [6, 6] of the left perturbation ``exp(xi) @ camera_from_reference``: m, rad.
    inliers : bool [N].
    variance_factor : squared residuals over their covariances; 1 if these are right.
    """

    camera_from_reference: FloatArray
    covariance: FloatArray
    inliers: Bools
    variance_factor: float


@dataclass(frozen=True)
class Reach:
    """How far a vehicle can depart from the predicted motion, metres and radians."""

    metres: float
    radians: float

    def holds(self, motion: FloatArray, predicted: FloatArray) -> bool:
        """Whether a motion [4, 4] is as near to the predicted one."""
        departure = motion @ se3.inverse(predicted)
        return (
            float(np.linalg.norm(departure[:3, 3])) <= self.metres
            and se3.rotation_angle_rad(departure) <= self.radians
        )


def find_motion(
    sightings: Sightings, projection: StereoProjection, predicted: FloatArray, seed: int = 0,
    reach: Reach | None = None,
) -> Motion | None:
    """Refine the predicted motion and a sampled one, keep the better; None if there is none.

    A bus that fills most of the view has more features than the street: a motion that only it
    supports and that no vehicle could make (``reach``) gives way to one within reach, as long as a
    quarter of the features support that.
    """
    starts = [predicted]
    sampled = sample_motion(sightings, projection, seed)
    if sampled is not None:
        starts.append(sampled)
    refined = [refine_motion(sightings, projection, start) for start in starts]
    def cost(motion: Motion) -> float:
        return truncated_cost(sightings, projection, motion.camera_from_reference)

    best = min((motion for motion in refined if motion is not None), default=None, key=cost)
    if best is None or reach is None:
        return best
    near = reach.holds(best.camera_from_reference, predicted)
    if near and best.inliers.mean() >= _MOST_AGREEING:
        return best
    # With most features on the bus their median is useless: covariances are trusted.
    steady = refine_motion(sightings, projection, predicted, most_variance=_BELIEVED_VARIANCE)
    if (
        steady is None or steady.inliers.mean() < LEAST_AGREEING
        or not reach.holds(steady.camera_from_reference, predicted)
    ):
        return best
    return min(best, steady, key=cost) if near else steady


def sample_motion(
    sightings: Sightings, projection: StereoProjection, seed: int = 0, *,
    threshold_px: float = 3.0, iterations: int = 200,
) -> FloatArray | None:
    """Best of random minimal samples, [4, 4]; None if nothing was found."""
    landmarks = sightings.landmarks
    near = landmarks[:, 2] > 1e-3
    trusted = near & (sightings.weights >= 0.5)
    if trusted.sum() >= 12:  # a bus that fills the image must not make the hypotheses
        near = trusted
    if near.sum() < 6:
        return None
    rays = np.concatenate([landmarks[near, :2], np.ones((near.sum(), 1))], axis=1)
    cv2.setRNGSeed(seed)
    found, rotation, translation, _ = cv2.solvePnPRansac(
        rays / landmarks[near, 2:], np.ascontiguousarray(sightings.measured_px[near, :2]),
        projection.k, None, flags=cv2.SOLVEPNP_AP3P, reprojectionError=threshold_px,
        iterationsCount=iterations, confidence=0.999,
    )
    if not (found and np.isfinite(rotation).all() and np.isfinite(translation).all()):
        return None
    return rotation_translation(rotation, translation)


def refine_motion(
    sightings: Sightings, projection: StereoProjection, start: FloatArray, *, iterations: int = 5,
    most_variance: float = np.inf,
) -> Motion | None:
    """Refine a motion that is nearly right; None if the geometry does not fix it.

    Parameters
    ----------
    most_variance : bound of the residuals' variance factor, for where most of them are wrong.
    """
    motion = se3.orthonormal(start)
    chi2, jacobian, residual = _whitened(sightings, projection, motion)
    gates = (np.inf,) if np.isinf(most_variance) else _NARROWING_GATES
    for gate in gates:
        for _ in range(iterations):
            variance = min(robust_variance(chi2, sightings.weights), most_variance)
            weight = sightings.weights / (1.0 + chi2 / (CAUCHY_SQUARED * variance))
            inside = np.isfinite(chi2) & (chi2 < gate * variance)
            weight = np.where(inside, weight, 0.0)
            weighted = jacobian * weight[:, None, None]
            normal = np.einsum('nri,nrj->ij', weighted, jacobian)
            if not np.isfinite(normal).all() or np.linalg.cond(normal) > 1e14:
                return None
            step = np.linalg.solve(normal, np.einsum('nri,nr->i', weighted, residual))
            motion = se3.exp(step) @ motion
            chi2, jacobian, residual = _whitened(sightings, projection, motion)
            if np.abs(step).max() < 1e-4:
                break
    variance = min(robust_variance(chi2, sightings.weights), most_variance)
    return _summary(sightings, motion, chi2, jacobian, variance)


def _summary(
    sightings: Sightings, motion: FloatArray, chi2: FloatArray, jacobian: FloatArray,
    variance: float,
) -> Motion | None:
    inliers = np.nan_to_num(chi2, nan=np.inf) < CHI2_GATE_3 * variance
    if inliers.sum() < 4:
        return None
    weight = np.where(inliers, sightings.weights, 0.0)
    normal = np.einsum('nri,nrj->ij', jacobian * weight[:, None, None], jacobian)
    if not np.isfinite(normal).all():
        return None
    factor = float((weight * np.where(inliers, chi2, 0.0)).sum() / max(3 * weight.sum() - 6, 1.0))
    covariance = np.linalg.pinv(normal, hermitian=True) * max(factor, VARIANCE_FLOOR)
    return Motion(motion, covariance, inliers, factor)


def _whitened(
    sightings: Sightings, projection: StereoProjection, motion: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Squared residual [N], whitened derivative by the motion [N, 3, 6] and residual [N, 3]."""
    predicted, by_ray, by_landmark = projection.predict(sightings.landmarks, motion)
    residual = sightings.measured_px - predicted
    covariance = sightings.covariance_px2 + (
        by_landmark @ sightings.landmark_covariance @ by_landmark.transpose(0, 2, 1)
    )
    behind = ~np.isfinite(predicted).all(axis=1)
    blind = np.isnan(residual[:, 2])
    residual[blind, 2] = 0.0
    covariance[blind, :2, 2] = covariance[blind, 2, :2] = 0.0
    covariance[blind, 2, 2] = 1e8
    residual[behind], covariance[behind] = 0.0, np.eye(3)
    lost = ~np.isfinite(covariance).all(axis=(1, 2))
    behind |= lost
    residual[lost], covariance[lost] = 0.0, np.eye(3)
    rotation, translation = motion[:3, :3], motion[:3, 3]
    q = sightings.landmarks[:, 2]
    ray = np.concatenate([sightings.landmarks[:, :2], np.ones((len(q), 1))], axis=1)
    by_motion = motion_derivative(by_ray, ray @ rotation.T + translation * q[:, None], q)
    by_motion[~np.isfinite(by_motion)] = 0.0
    inverse_root = whitener(covariance)
    residual = np.einsum('nij,nj->ni', inverse_root, residual)
    chi2 = np.where(behind, np.nan, (residual**2).sum(axis=1))
    return chi2, inverse_root @ by_motion, residual


def whitener(covariance: FloatArray) -> FloatArray:
    """Inverse Cholesky factors [N, 3, 3] of finite covariances [N, 3, 3].

    A landmark that lies almost in the camera's plane has a covariance so large in one direction
    that rounding makes it indefinite; a trace of it more on the diagonal mends that, and hides
    nothing that a float64 could have held.
    """
    trace = np.trace(covariance, axis1=1, axis2=2)
    ridge = (1e-12 * np.abs(trace) + 1e-12)[:, None, None] * np.eye(3)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance + ridge)))


def motion_derivative(by_ray: FloatArray, point: FloatArray, q: FloatArray) -> FloatArray:
    """Derivative [N, 3, 6] of a measurement by ``exp(xi)`` on the left, homogeneous points."""
    moved = np.zeros((len(q), 3, 6))
    moved[:, 0, 0] = moved[:, 1, 1] = moved[:, 2, 2] = q
    moved[:, 0, 4], moved[:, 0, 5] = point[:, 2], -point[:, 1]
    moved[:, 1, 3], moved[:, 1, 5] = -point[:, 2], point[:, 0]
    moved[:, 2, 3], moved[:, 2, 4] = point[:, 1], -point[:, 0]
    return np.asarray(by_ray @ moved)


def rotation_translation(rotation: object, translation: object) -> FloatArray:
    """Transform [4, 4] of OpenCV's rotation vector and translation."""
    vector, moved = (np.asarray(a, dtype=np.float64).reshape(3) for a in (rotation, translation))
    return se3.from_rotation_translation(se3.so3_exp(vector), moved)


def robust_variance(chi2: FloatArray, weights: FloatArray) -> float:
    """Variance factor by the weighted median, which half the weight of outliers cannot move."""
    used = np.isfinite(chi2) & (weights > 0)
    if not used.any():
        return 1.0
    order = np.argsort(chi2[used], kind='stable')
    passed = np.cumsum(weights[used][order])
    middle = int(np.searchsorted(passed, 0.5 * passed[-1]))
    return float(max(chi2[used][order][middle] / CHI2_MEDIAN_3, 0.05))


def truncated_cost(
    sightings: Sightings, projection: StereoProjection, motion: FloatArray
) -> float:
    """Squared whitened residuals, each bounded so that what is wrong counts alike."""
    chi2 = _whitened(sightings, projection, motion)[0]
    bounded = np.minimum(np.nan_to_num(chi2, nan=np.inf), 4 * CHI2_GATE_3)
    return float((bounded * sightings.weights).sum())
