# SPDX-License-Identifier: Apache-2.0
"""Visual odometry: drift over segments (KITTI), end error, absolute and relative pose errors."""

from collections.abc import Sequence

import numpy as np

from perception_nodes.geometry.se3 import inverse, rotation_angle_rad, so3_log, umeyama
from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['KITTI_SEGMENTS_M', 'OdometryMetric', 'segments_that_fit']

KITTI_SEGMENTS_M = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)


def segments_that_fit(path_m: float) -> tuple[float, ...]:
    """KITTI's segment lengths that the path holds; of a path below 100 m 1/8 to 7/8 of it."""
    fitting = tuple(length for length in KITTI_SEGMENTS_M if length <= path_m)
    return fitting or tuple(path_m * eighth / 8.0 for eighth in range(1, 8))


class OdometryMetric:
    """Poses of one drive against the truth, both taken relative to their first pose.

    Parameters
    ----------
    segments_m : lengths over which drift is measured; None takes those that fit the path.

    Notes
    -----
    Drift as in the KITTI odometry devkit (A. Geiger et al., CVPR 2012), with a segment starting at
    every frame. ATE after a rigid fit without scale (J. Sturm et al., IROS 2012).
    """

    def __init__(self, segments_m: Sequence[float] | None = None) -> None:
        if segments_m is not None and (not segments_m or min(segments_m) <= 0.0):
            raise PerceptionError('segment lengths must be positive')
        self.segments_m = tuple(segments_m) if segments_m is not None else None
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._estimate: list[FloatArray] = []
        self._truth: list[FloatArray] = []
        self._covariance: list[FloatArray | None] = []
        self._tracked = 0

    def update(
        self,
        odom_from_base: FloatArray,
        truth_odom_from_base: FloatArray,
        *,
        pose_covariance: FloatArray | None = None,
        tracking: bool = True,
    ) -> None:
        """Add one frame, in order of time.

        Parameters
        ----------
        odom_from_base, truth_odom_from_base : [4, 4]; each in its own world.
        pose_covariance : [6, 6] of (x y z, rotation about X Y Z) in odom.
        tracking : False while lost.
        """
        for pose in (odom_from_base, truth_odom_from_base):
            if pose.shape != (4, 4) or not np.isfinite(pose).all():
                raise PerceptionError('a pose is a finite 4x4 matrix')
        self._estimate.append(np.asarray(odom_from_base, np.float64))
        self._truth.append(np.asarray(truth_odom_from_base, np.float64))
        self._covariance.append(pose_covariance)
        self._tracked += tracking

    def trajectories(self) -> tuple[FloatArray, FloatArray]:
        """Positions [N, 3] of estimate and truth, both from the first pose, metres."""
        estimate, truth = _from_first(self._estimate), _from_first(self._truth)
        return estimate[:, :3, 3], truth[:, :3, 3]

    def position_errors_m(self) -> FloatArray:
        """Distance of every frame from the truth, first poses laid on each other, [N] metres."""
        estimate, truth = self.trajectories()
        return np.asarray(np.linalg.norm(estimate - truth, axis=1))

    def compute(self) -> dict[str, float]:
        """Return the errors; NaN with fewer than two frames or a vehicle that stood still."""
        if len(self._truth) < 2:
            return dict.fromkeys((*_NAMES, 'coverage1', 'coverage2'), float('nan'))
        estimate, truth = _from_first(self._estimate), _from_first(self._truth)
        travelled = _travelled(truth)
        path = float(travelled[-1])
        end = float(np.linalg.norm(estimate[-1, :3, 3] - truth[-1, :3, 3]))
        t_rel, r_rel = self._drift(estimate, truth, travelled)
        steps = [
            inverse(inverse(t0) @ t1) @ (inverse(e0) @ e1)
            for e0, e1, t0, t1 in zip(estimate, estimate[1:], truth, truth[1:], strict=False)
        ]
        step_m = np.array([np.linalg.norm(step[:3, 3]) for step in steps])
        step_deg = np.degrees([rotation_angle_rad(step) for step in steps])
        coverage = self._calibration(estimate, truth).compute()
        values = (
            100.0 * end / path if path > 0.0 else float('nan'),
            100.0 * t_rel, 100.0 * np.degrees(r_rel), _ate_m(estimate, truth),
            float(np.sqrt(np.mean(step_m**2))), float(np.sqrt(np.mean(step_deg**2))),
            path, self._tracked / len(truth),
        )  # fmt: skip
        return {
            **dict(zip(_NAMES, map(float, values), strict=True)),
            'coverage1': coverage['coverage1'],
            'coverage2': coverage['coverage2'],
        }

    def _drift(
        self, estimate: FloatArray, truth: FloatArray, travelled: FloatArray
    ) -> tuple[float, float]:
        """Mean translation error (m per m) and rotation error (rad per m) over the segments."""
        path = float(travelled[-1])
        if path <= 0.0:
            return float('nan'), float('nan')
        translations, rotations = [], []
        for length in self.segments_m or segments_that_fit(path):
            lasts = np.searchsorted(travelled, travelled + length * (1.0 - 1e-9))
            for first, last in enumerate(lasts):
                if last == len(travelled):
                    break
                moved = inverse(estimate[first]) @ estimate[last]
                moved_truth = inverse(truth[first]) @ truth[last]
                error = inverse(moved) @ moved_truth
                translations.append(np.linalg.norm(error[:3, 3]) / length)
                rotations.append(rotation_angle_rad(error) / length)
        if not translations:
            return float('nan'), float('nan')
        return float(np.mean(translations)), float(np.mean(rotations))

    def _calibration(self, estimate: FloatArray, truth: FloatArray) -> GaussianCalibration:
        """Pose errors in odom's axes against the square roots of the covariance's diagonal."""
        calibration = GaussianCalibration()
        odom_from_first = np.kron(np.eye(2), self._estimate[0][:3, :3])
        for index, covariance in enumerate(self._covariance):
            if covariance is None or index == 0:
                continue
            turn = estimate[index, :3, :3] @ truth[index, :3, :3].T
            shift = estimate[index, :3, 3] - truth[index, :3, 3]
            error = odom_from_first @ np.concatenate([shift, so3_log(turn)])
            calibration.update(error, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
        return calibration


_NAMES = (
    'end_error_percent', 't_rel_percent', 'r_rel_deg_per_100m', 'ate_m', 'rpe_m', 'rpe_deg',
    'path_m', 'tracked_fraction',
)  # fmt: skip


def _from_first(poses: list[FloatArray]) -> FloatArray:
    return np.stack([inverse(poses[0]) @ pose for pose in poses])


def _travelled(poses: FloatArray) -> FloatArray:
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _ate_m(estimate: FloatArray, truth: FloatArray) -> float:
    """RMSE of the positions after a rigid fit; on a straight line after a shift of the means."""
    positions, target = estimate[:, :3, 3], truth[:, :3, 3]
    try:
        fit, _ = umeyama(positions, target)
        residual = positions @ fit[:3, :3].T + fit[:3, 3] - target
    except PerceptionError:
        residual = (positions - positions.mean(axis=0)) - (target - target.mean(axis=0))
    return float(np.sqrt(np.mean(np.sum(residual**2, axis=1))))
