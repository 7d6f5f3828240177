# SPDX-License-Identifier: Apache-2.0
"""Visual odometry: drift over segments (KITTI), end error, absolute and relative pose errors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perception_nodes.geometry.se3 import inverse, rotation_angle_rad, so3_log
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.drift import (
    KITTI_SEGMENTS_M,
    segment_errors,
    segments_that_fit,
    travelled_m,
)
from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['OdometryMetric']

_STATISTICS: dict[str, Callable[[FloatArray], Any]] = {
    'mean': np.mean, 'median': np.median, 'max': np.max,
}
_OWN = (
    MetricInfo('end_error_percent', 'end error, % of the path',
               'Distance of the last position from the ground truth, first poses aligned, over '
               'the length of the true path.', better='low'),
    MetricInfo('t_rel_percent', 'drift of position',
               'Mean translation error over all segments of 100 to 800 m (of a path below 100 m: '
               'of 1/8 to 7/8 of it) over their length; a segment starts at every frame (KITTI).',
               '%', 'low'),
    MetricInfo('r_rel_deg_per_100m', 'drift of heading',
               'Mean rotation error over the same segments over their length (KITTI).',
               'deg per 100 m', 'low'),
    MetricInfo('ate_m', 'ATE',
               'Absolute trajectory error: root mean square distance of the positions after '
               'alignment, by default a rigid least-squares fit over all poses, without scale '
               '(Sturm et al., IROS 2012); evo_ape prints the same.', 'm', 'low'),
    *(
        MetricInfo(f'ate_{name}_m', f'ATE, {name}',
                   f'{name.capitalize()} of the same distances.', 'm', 'low')
        for name in _STATISTICS
    ),
    MetricInfo('rpe_m', 'RPE of a step',
               'Relative pose error: root mean square translation error from frame to frame; '
               'evo_rpe prints the same.', 'm', 'low'),
    MetricInfo('rpe_deg', 'RPE of a step, rotation',
               'Root mean square rotation error from frame to frame.', 'deg', 'low'),
    MetricInfo('path_m', 'length of the path', 'Length of the true path.', 'm'),
    MetricInfo('tracked_fraction', 'completion: frames tracked',
               'Share of the frames in which odometry was not lost.', better='high'),
)  # fmt: skip
_NAMES = tuple(info.name for info in _OWN)


class OdometryMetric:
    """Poses of one sequence against the ground truth.

    Parameters
    ----------
    segments_m : lengths over which drift is measured; None takes those that fit the path.
    alignment : of the positions before ATE; drift, end error and RPE need none.
    """

    infos = (
        *_OWN,
        *(info for info in GaussianCalibration.infos if info.name != 'nll'),
        MetricInfo('t_rel_percent_<length>m', 'drift of position over <length> m',
                   'Mean translation error over the segments of this length.', '%', 'low'),
        MetricInfo('r_rel_deg_per_100m_<length>m', 'drift of heading over <length> m',
                   'Mean rotation error over the segments of this length.', 'deg per 100 m',
                   'low'),
    )  # fmt: skip

    def __init__(
        self, segments_m: Sequence[float] | None = None, alignment: Alignment | None = None
    ) -> None:
        if segments_m is not None and (not segments_m or min(segments_m) <= 0.0):
            raise PerceptionError('segment lengths must be positive')
        self.segments_m = tuple(segments_m) if segments_m is not None else None
        self.alignment = alignment or Alignment()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._estimate: list[FloatArray] = []
        self._truth: list[FloatArray] = []
        self._covariance: list[FloatArray | None] = []
        self._tracked = 0
        self.stamps_ns: list[int] = []

    def update(
        self,
        odom_from_base: FloatArray,
        truth_odom_from_base: FloatArray,
        *,
        pose_covariance: FloatArray | None = None,
        tracking: bool = True,
        stamp_ns: int = 0,
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
        self.stamps_ns.append(stamp_ns)

    def poses(self) -> tuple[FloatArray, FloatArray]:
        """Poses [N, 4, 4] of estimate and ground truth, each in its own world."""
        return _stacked(self._estimate), _stacked(self._truth)

    def trajectories(self) -> tuple[FloatArray, FloatArray]:
        """Positions [N, 3] of estimate and ground truth, both from the first pose, metres."""
        estimate, truth = (_from_first(poses) for poses in self.poses())
        return estimate[:, :3, 3], truth[:, :3, 3]

    def last_error_m(self) -> float:
        """Distance of the newest frame from the ground truth, first poses aligned, metres."""
        start, true_start = self._estimate[0], self._truth[0]
        apart = true_start @ inverse(start) @ self._estimate[-1] - self._truth[-1]
        return float(np.linalg.norm(apart[:3, 3]))

    def compute(self) -> dict[str, float]:
        """Return the errors; NaN with fewer than two frames or a vehicle that stood still."""
        nan = float('nan')
        if len(self._truth) < 2:
            return dict.fromkeys((*_NAMES, 'coverage1', 'coverage2'), nan)
        estimate, truth = (_from_first(poses) for poses in self.poses())
        path_m = float(travelled_m(truth)[-1])
        end_m = float(np.linalg.norm(estimate[-1, :3, 3] - truth[-1, :3, 3]))
        distances_m = self._distances_m()
        step_m, step_deg = _step_errors(estimate, truth)
        coverage = self._calibration(estimate, truth).compute()
        values = {
            'end_error_percent': 100.0 * end_m / path_m if path_m > 0.0 else nan,
            **self._drift(estimate, truth, path_m),
            'ate_m': _rms(distances_m),
            **{f'ate_{name}_m': of(distances_m) for name, of in _STATISTICS.items()},
            'rpe_m': _rms(step_m),
            'rpe_deg': _rms(step_deg),
            'path_m': path_m,
            'tracked_fraction': self._tracked / len(truth),
            'coverage1': coverage['coverage1'],
            'coverage2': coverage['coverage2'],
        }
        return {name: float(value) for name, value in values.items()}

    def _distances_m(self) -> FloatArray:
        """Distances of the aligned positions from the true ones, [N]."""
        estimate, truth = self.poses()
        apart = self.alignment.positions(estimate, truth) - truth[:, :3, 3]
        return np.asarray(np.linalg.norm(apart, axis=1))

    def _drift(self, estimate: FloatArray, truth: FloatArray, path_m: float) -> dict[str, float]:
        """Drift over all segments, and of KITTI's lengths over each."""
        lengths = (self.segments_m or segments_that_fit(path_m)) if path_m > 0.0 else ()
        errors = segment_errors(estimate, truth, lengths)
        unknown = np.full((1, 2), np.nan)
        t_rel, r_rel = np.mean(np.concatenate(list(errors.values()) or [unknown]), axis=0)
        drift = {'t_rel_percent': 100.0 * t_rel, 'r_rel_deg_per_100m': 100.0 * np.degrees(r_rel)}
        for length, rows in errors.items():
            if length in KITTI_SEGMENTS_M:
                t_rel, r_rel = rows.mean(axis=0)
                drift[f't_rel_percent_{length:g}m'] = 100.0 * t_rel
                drift[f'r_rel_deg_per_100m_{length:g}m'] = 100.0 * np.degrees(r_rel)
        return drift

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


def _stacked(poses: list[FloatArray]) -> FloatArray:
    return np.stack(poses) if poses else np.zeros((0, 4, 4))


def _from_first(poses: FloatArray) -> FloatArray:
    return np.stack([inverse(poses[0]) @ pose for pose in poses])


def _step_errors(estimate: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Errors from frame to frame: [N - 1] metres and degrees."""
    steps = [
        inverse(inverse(t0) @ t1) @ (inverse(e0) @ e1)
        for e0, e1, t0, t1 in zip(estimate, estimate[1:], truth, truth[1:], strict=False)
    ]
    return (
        np.array([np.linalg.norm(step[:3, 3]) for step in steps]),
        np.degrees([rotation_angle_rad(step) for step in steps]),
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
