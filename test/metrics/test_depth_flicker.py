# SPDX-License-Identifier: Apache-2.0
"""Depth that agrees with the camera's motion does not flicker, whatever its scale at rest."""

import numpy as np
import pytest

from perception_nodes.metrics.depth_flicker import DepthFlicker
from perception_nodes.types import PerceptionError

K = np.array([[40.0, 0, 20], [0, 40.0, 15], [0, 0, 1]])


STEP_NS = 100_000_000


def at(z_m: float) -> np.ndarray:
    pose = np.eye(4)
    pose[2, 3] = z_m
    return pose


def wall(z_m: float) -> np.ndarray:
    return np.full((30, 40), z_m, np.float32)


def test_a_wall_that_comes_nearer_as_the_camera_moves_is_steady() -> None:
    metric = DepthFlicker()
    for step in range(4):
        metric.update(step * STEP_NS, wall(10.0 - step), K, at(step))
    assert metric.compute()['flicker'] == pytest.approx(0.0, abs=1e-6)


def test_the_change_of_depth_is_measured_where_the_point_was() -> None:
    """The wall is 10 m away, then 9.9 instead of 9: the point should have been at 10.9."""
    metric = DepthFlicker()
    metric.update(0, wall(10.0), K, at(0))
    metric.update(STEP_NS, wall(9.9), K, at(1))
    assert metric.compute()['flicker'] == pytest.approx(np.log(10.9 / 10.0), rel=1e-4)
    at_rest = DepthFlicker()
    for number, depth_m in enumerate((10.0, 11.0, 10.0)):
        at_rest.update(number * STEP_NS, wall(depth_m), K, at(0))
    assert at_rest.compute()['flicker'] == pytest.approx(np.log(1.1), rel=1e-4)


def test_gaps_and_holes_do_not_count() -> None:
    metric = DepthFlicker()
    assert np.isnan(metric.compute()['flicker'])
    hole = wall(10.0)
    hole[:, :10] = np.nan
    metric.update(0, hole, K, at(0))
    metric.update(3 * STEP_NS, wall(20.0), K, at(0))
    metric.update(0, wall(20.0), K, at(0))
    assert np.isnan(metric.compute()['flicker'])
    metric.update(STEP_NS, np.where(np.isnan(hole), np.float32(np.nan), 20), K, at(0))
    assert metric.compute()['flicker'] == 0.0
    with pytest.raises(PerceptionError, match='another size'):
        metric.update(2 * STEP_NS, wall(1.0)[:4], K, at(0))
