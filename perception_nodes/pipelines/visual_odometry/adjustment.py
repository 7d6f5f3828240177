# SPDX-License-Identifier: Apache-2.0
"""Sliding-window bundle adjustment: keyframes, landmarks and one disparity offset together.

Stereo residuals of all keyframes are minimised over their poses and landmarks; their estimate of
the disparity's common offset goes to ``rig_offset``. Landmarks are eliminated by the Schur
complement, steps are damped (Levenberg and Marquardt), residuals bounded by a Cauchy loss (Triggs
et al., "Bundle adjustment, a modern synthesis", 2000). The oldest pose is held; its covariance is
the one that it had when it was adjusted itself, carried along the path by the adjoint.
"""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.front_end import Indices
from perception_nodes.pipelines.visual_odometry.motion import (
    CAUCHY_SQUARED,
    CHI2_GATE_3,
    VARIANCE_FLOOR,
    motion_derivative,
    robust_variance,
    whitener,
)
from perception_nodes.pipelines.visual_odometry.window import Window
from perception_nodes.types import FloatArray


def adjust(window: Window, iterations: int = 2) -> None:
    """Minimise over poses (but the oldest) and landmarks; the window is changed."""
    sightings = _Sightings.of(window)
    if sightings is None or len(window.keyframes) < 2:
        return
    system = _normal_equations(window, sightings)
    damping = 1e-4
    for _ in range(iterations):
        step, landmark_step = _solve(system, damping)
        before = _state(window)
        _move(window, sightings.rows, step, landmark_step)
        trial = _normal_equations(window, sightings)
        if trial.cost <= system.cost:
            settled = system.cost - trial.cost < 1e-3 * system.cost
            system, damping = trial, damping * 0.1
            if settled:
                break
        else:
            _restore(window, before)
            damping *= 100.0
    _spread_covariances(window, sightings.rows, system)


@dataclass(frozen=True)
class _Sightings:
    """What landmarks with two sightings or more are seen in, flat and ordered by landmark.

    Attributes
    ----------
    rows : int [M] those landmarks' indices in the window.
    owner : int [n] position in ``rows``; first : int [M] where each landmark's sightings start.
    frame : int [n] keyframe. measured_px : [n, 3]. root : [n, 3, 3], whitens a residual.
    """

    rows: Indices
    owner: Indices
    first: Indices
    frame: Indices
    measured_px: FloatArray
    root: FloatArray

    @staticmethod
    def of(window: Window) -> '_Sightings | None':
        seen = np.isfinite(window.measured_px[..., 0])
        rows = np.flatnonzero(seen.sum(axis=1) > 1)
        if len(rows) < 6:
            return None
        owner, frame = np.nonzero(seen[rows])
        first = np.searchsorted(owner, np.arange(len(rows)))
        covariance = window.covariance_px2[rows[owner], frame]
        root = whitener(covariance)
        measured = window.measured_px[rows[owner], frame]
        root[np.isnan(measured[:, 2]), 2] = 0.0
        return _Sightings(rows, owner, first, frame, np.nan_to_num(measured), root)


@dataclass(frozen=True)
class _System:
    """Normal equations with the landmarks eliminated; D = 6 (K - 1) + 1.

    Attributes
    ----------
    reduced, right : [D, D], [D]. cross [M, D, 3], landmark_inverse [M, 3, 3], landmark_right
    [M, 3]: what brings the landmarks back.
    """

    cost: float
    variance_factor: float
    reduced: FloatArray
    right: FloatArray
    cross: FloatArray
    landmark_inverse: FloatArray
    landmark_right: FloatArray


def _normal_equations(window: Window, sightings: _Sightings) -> _System:
    by_pose, by_landmark, residual = _linearise(window, sightings)
    owner, columns = sightings.owner, by_pose.shape[-1]
    chi2 = (residual**2).sum(axis=-1)
    # A landmark takes three of its residuals for itself: the rest determines the variance.
    count = 3 * len(owner)
    freedom = max(count - 3 * len(sightings.rows) - columns, 1) / count
    weights = window.weights[sightings.rows[owner]]
    variance = robust_variance(chi2, weights) / freedom
    scaled = chi2 / variance
    weight = weights / (1.0 + scaled / CAUCHY_SQUARED)
    cost = variance * float((weights * np.log1p(scaled / CAUCHY_SQUARED)).sum()) * CAUCHY_SQUARED
    half = np.sqrt(weight)[:, None]
    residual, by_pose = half * residual, half[..., None] * by_pose
    by_landmark = half[..., None] * by_landmark

    flat = by_pose.reshape(-1, columns)
    full, full_right = flat.T @ flat, flat.T @ residual.reshape(-1)
    turned = by_landmark.transpose(0, 2, 1)
    square = np.add.reduceat(turned @ by_landmark, sightings.first) + 1e-9 * np.eye(3)
    cross = np.add.reduceat(by_pose.transpose(0, 2, 1) @ by_landmark, sightings.first)
    landmark_right = np.add.reduceat((turned @ residual[..., None])[..., 0], sightings.first)
    inverse = np.linalg.inv(square)
    eliminated = (cross @ inverse).transpose(1, 0, 2).reshape(columns, -1)
    reduced = full - eliminated @ cross.transpose(1, 0, 2).reshape(columns, -1).T
    right = full_right - eliminated @ landmark_right.reshape(-1)

    inner = np.where(scaled < CHI2_GATE_3, weights, 0.0)
    factor = float((inner * chi2).sum()) / max(3 * float(inner.sum()) * freedom, 1.0)
    factor = max(factor, VARIANCE_FLOOR)
    return _System(cost, factor, reduced, right, cross, inverse, landmark_right)


def _solve(system: _System, damping: float) -> tuple[FloatArray, FloatArray]:
    poses = system.reduced[:-1, :-1]
    step = np.zeros(len(system.right))  # the offset, its last entry, stays
    # A keyframe whose features are all gone has an empty block: it stays where it is.
    damped = damping * np.diag(np.diag(poses)) + 1e-9 * np.eye(len(poses))
    step[:-1] = np.linalg.solve(poses + damped, system.right[:-1])
    remaining = system.landmark_right - np.einsum('ldj,d->lj', system.cross, step)
    return step, np.einsum('lij,lj->li', system.landmark_inverse, remaining)


def _linearise(
    window: Window, sightings: _Sightings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Whitened derivatives by poses [n, 3, D], by landmark [n, 3, 3], and residual [n, 3]."""
    pose = np.stack([keyframe.odom_from_camera for keyframe in window.keyframes])
    between = np.linalg.inv(pose)[:, None] @ pose[None]  # [frame, anchor, 4, 4]
    index = sightings.rows[sightings.owner]
    frame, anchor = sightings.frame, window.anchor[index]
    frame_from_anchor = between[frame, anchor]
    landmarks = window.landmarks[index]
    predicted, by_ray, by_landmark = window.projection.predict(landmarks, frame_from_anchor)
    residual = sightings.measured_px - predicted
    residual[:, 2] -= window.offset.applied_px
    ray = np.concatenate([landmarks[:, :2], np.ones((len(index), 1))], axis=1)
    q = landmarks[:, 2]
    point = (frame_from_anchor[:, :3, :3] @ ray[..., None])[..., 0]
    by_motion = motion_derivative(by_ray, point + frame_from_anchor[:, :3, 3] * q[:, None], q)
    adjoints = np.stack([[se3.adjoint(f_from_a) for f_from_a in row] for row in between])
    rows, poses = np.arange(len(index)), len(pose)
    columns = np.zeros((len(index), 3, 6 * poses + 1))
    by_pose = columns[..., :-1].reshape(len(index), 3, poses, 6)
    by_pose[rows, :, frame] = -by_motion
    by_pose[rows, :, anchor] += by_motion @ adjoints[frame, anchor]
    columns[..., :-1] = by_pose.reshape(len(index), 3, -1)
    columns[:, 2, -1] = 1.0
    behind = np.isnan(predicted[:, 0])
    for array in (residual, columns, by_landmark):
        array[behind] = 0.0
    residual = (sightings.root @ residual[..., None])[..., 0]
    return sightings.root @ columns[..., 6:], sightings.root @ by_landmark, residual


def _state(window: Window) -> tuple[FloatArray, list[FloatArray]]:
    poses = [keyframe.odom_from_camera for keyframe in window.keyframes]
    return window.landmarks, poses


def _restore(window: Window, state: tuple[FloatArray, list[FloatArray]]) -> None:
    window.landmarks, poses = state
    for keyframe, pose in zip(window.keyframes, poses, strict=True):
        keyframe.odom_from_camera = pose


def _move(window: Window, rows: Indices, step: FloatArray, landmark_step: FloatArray) -> None:
    for number, keyframe in enumerate(window.keyframes[1:]):
        move = se3.exp(step[6 * number : 6 * number + 6])
        keyframe.odom_from_camera = se3.orthonormal(keyframe.odom_from_camera @ move)
    window.landmarks = window.landmarks.copy()
    window.landmarks[rows] += landmark_step
    window.landmarks[:, 2] = np.maximum(window.landmarks[:, 2], 1e-6)


def _spread_covariances(window: Window, rows: Indices, system: _System) -> None:
    """Assign keyframes and landmarks their covariance, scaled by the residuals' variance."""
    factor = window.variance_factor = system.variance_factor
    poses, mixed = system.reduced[:-1, :-1], system.reduced[:-1, -1]
    inverse = np.linalg.pinv(poses, hermitian=True)
    information = float(system.reduced[-1, -1] - mixed @ inverse @ mixed)
    if information > 1e-9:
        surplus_px = float(system.right[-1] - mixed @ inverse @ system.right[:-1]) / information
        window.offset.update(surplus_px, factor / information * len(window.keyframes))
    # What is not known of the offset makes the poses uncertain too.
    whole = system.reduced.copy()
    whole[-1, -1] += factor / window.offset.variance_px2
    covariance = np.linalg.pinv(whole, hermitian=True) * factor
    oldest = window.keyframes[0]
    for number, keyframe in enumerate(window.keyframes[1:]):
        own = covariance[6 * number : 6 * number + 6, 6 * number : 6 * number + 6]
        carry = se3.adjoint(se3.inverse(keyframe.odom_from_camera) @ oldest.odom_from_camera)
        keyframe.covariance = carry @ oldest.covariance @ carry.T + own
    window.landmark_covariance[rows] = system.landmark_inverse * system.variance_factor
