# SPDX-License-Identifier: Apache-2.0
"""Drift, end error, ATE and RPE of drives whose errors are known."""

import numpy as np
import pytest

from perception_nodes.geometry.se3 import compose, exp
from perception_nodes.metrics.odometry import OdometryMetric, segments_that_fit
from perception_nodes.types import PerceptionError


def drive(steps: int, step: np.ndarray) -> list[np.ndarray]:
    poses = [np.eye(4)]
    for _ in range(steps):
        poses.append(poses[-1] @ step)
    return poses


def forward(metres: float, yaw_rad: float = 0.0) -> np.ndarray:
    return exp(np.array([metres, 0, 0, 0, 0, yaw_rad]))


def scored(
    estimate: list[np.ndarray], truth: list[np.ndarray], segments: tuple[float, ...] | None = None
) -> dict[str, float]:
    metric = OdometryMetric(segments)
    for pose, true in zip(estimate, truth, strict=True):
        metric.update(pose, true)
    return metric.compute()


def test_scale_error_is_the_drift_in_percent() -> None:
    """1.02 m for every metre: 2 % at the end and over every segment; no rotation error."""
    result = scored(drive(60, forward(1.02)), drive(60, forward(1.0)), (10.0, 20.0))
    assert result['end_error_percent'] == pytest.approx(2.0)
    assert result['t_rel_percent'] == pytest.approx(2.0)
    assert result['r_rel_deg_per_100m'] == pytest.approx(0.0, abs=1e-9)
    assert result['rpe_m'] == pytest.approx(0.02)
    assert result['path_m'] == pytest.approx(60.0)


def test_yaw_drift_in_degrees_per_100_m() -> None:
    """0.01 degrees a metre is 1 degree over 100 m."""
    yaw = np.radians(0.01)
    result = scored(drive(60, forward(1.0, yaw)), drive(60, forward(1.0)), (5.0, 10.0))
    assert result['r_rel_deg_per_100m'] == pytest.approx(1.0)
    assert result['rpe_deg'] == pytest.approx(0.01)


def test_segments_end_at_the_frame_that_completes_them() -> None:
    """Steps of 4 m, segments of 10 m: the third step completes one; 12 m of 1 % over 10 m."""
    result = scored(drive(5, forward(4.04)), drive(5, forward(4.0)), (10.0,))
    assert result['t_rel_percent'] == pytest.approx(100 * 0.12 / 10.0)


def test_ate_forgives_where_and_how_the_drive_began() -> None:
    truth = drive(80, forward(1.0, 0.05))
    moved = [compose(exp(np.array([5.0, -3, 1, 0.2, 0.1, 1.0])), pose) for pose in truth]
    result = scored(moved, truth)
    assert result['ate_m'] == pytest.approx(0.0, abs=1e-9)
    assert result['end_error_percent'] == pytest.approx(0.0, abs=1e-9)


def test_ate_of_a_straight_line_is_that_of_its_shift() -> None:
    """Positions 0, 1.5, 2 against 0, 1, 2: means 7/6 and 1, squares summing to 1/6."""
    truth = drive(2, forward(1.0))
    estimate = [truth[0], forward(1.5), truth[2]]
    assert scored(estimate, truth)['ate_m'] == pytest.approx(np.sqrt(1 / 18))


def test_covariance_coverage_counts_coordinates() -> None:
    """An error of 1.5 sigma in x; the other five coordinates are exact."""
    metric = OdometryMetric()
    covariance = np.eye(6) * 0.01
    metric.update(np.eye(4), np.eye(4), pose_covariance=covariance)
    metric.update(forward(10.15), forward(10.0), pose_covariance=covariance)
    result = metric.compute()
    assert result['coverage1'] == pytest.approx(5 / 6)
    assert result['coverage2'] == 1.0


def test_covariance_is_in_the_axes_of_odom_even_if_the_first_pose_is_turned() -> None:
    """Facing y, a forward error is an error in y."""
    start = exp(np.array([0, 0, 0, 0, 0, np.pi / 2]))
    metric = OdometryMetric()
    sure_in_x = np.diag([1e-6, 1.0, 1.0, 1, 1, 1])
    metric.update(start, np.eye(4), pose_covariance=sure_in_x)
    metric.update(start @ forward(10.5), forward(10.0), pose_covariance=sure_in_x)
    assert metric.compute()['coverage1'] == 1.0


def test_tracked_fraction_and_short_drives() -> None:
    metric = OdometryMetric()
    metric.update(np.eye(4), np.eye(4))
    assert np.isnan(metric.compute()['ate_m'])
    metric.update(np.eye(4), np.eye(4), tracking=False)
    result = metric.compute()
    assert result['tracked_fraction'] == 0.5
    assert np.isnan(result['t_rel_percent'])
    assert result['ate_m'] == 0.0


def test_segment_lengths_are_those_of_kitti_where_they_fit() -> None:
    assert segments_that_fit(350.0) == (100.0, 200.0, 300.0)
    assert segments_that_fit(80.0) == tuple(10.0 * part for part in range(1, 8))


def test_poses_must_be_finite_matrices() -> None:
    with pytest.raises(PerceptionError, match='finite 4x4'):
        OdometryMetric().update(np.full((4, 4), np.nan), np.eye(4))
    with pytest.raises(PerceptionError, match='positive'):
        OdometryMetric((0.0,))
