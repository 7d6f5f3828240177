# SPDX-License-Identifier: Apache-2.0
"""Alignment of trajectories: each kind undoes what it should and nothing else; lines and rest."""

import numpy as np
import pytest

from perception_nodes.geometry.se3 import exp
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.types import PerceptionError


def curve(count: int = 40) -> np.ndarray:
    """Poses of a path that bends in space, [N, 4, 4]."""
    step = exp(np.array([1.0, 0.0, 0.0, 0.02, 0.05, 0.1]))
    poses = [np.eye(4)]
    for _ in range(count - 1):
        poses.append(poses[-1] @ step)
    return np.stack(poses)


def ate_m(estimate: np.ndarray, truth: np.ndarray, alignment: Alignment) -> float:
    metric = OdometryMetric(alignment=alignment)
    for pose, true in zip(estimate, truth, strict=True):
        metric.update(pose, true)
    return metric.compute()['ate_m']


MOVED = exp(np.array([3.0, -2.0, 1.0, 0.3, -0.2, 1.0]))


def scaled(poses: np.ndarray, scale: float) -> np.ndarray:
    result = poses.copy()
    result[:, :3, 3] *= scale
    return result


@pytest.mark.parametrize(('kind', 'forgives_move', 'forgives_scale'), [
    ('none', False, False), ('origin', True, False), ('se3', True, False), ('sim3', True, True),
])
def test_each_kind_forgives_what_it_says(
    kind: str, forgives_move: bool, forgives_scale: bool
) -> None:
    truth, alignment = curve(), Alignment(kind)
    assert ate_m(truth, truth, alignment) == pytest.approx(0.0, abs=1e-9)
    assert (ate_m(MOVED @ truth, truth, alignment) < 1e-6) is forgives_move
    assert (ate_m(scaled(truth, 1.1), truth, alignment) < 1e-6) is forgives_scale


def test_the_first_poses_alone_may_be_fitted() -> None:
    """An error after pose 20 does not move what the first 20 poses fix."""
    truth = curve()
    estimate = MOVED @ truth
    estimate[20:, 2, 3] += 1.0
    assert ate_m(estimate, truth, Alignment('se3', 20)) == pytest.approx(np.sqrt(0.5))
    assert ate_m(estimate, truth, Alignment('se3')) < 0.6


def test_a_line_is_aligned_by_the_same_definition() -> None:
    """A straight path turned by a right angle: only the turn about the line itself is free."""
    truth = np.tile(np.eye(4), (5, 1, 1))
    truth[:, 0, 3] = np.arange(5)
    estimate = np.tile(np.eye(4), (5, 1, 1))
    estimate[:, 1, 3] = np.arange(5)
    assert ate_m(estimate, truth, Alignment('se3')) == pytest.approx(0.0, abs=1e-9)
    nearly = estimate.copy()
    nearly[2, 2, 3] = 1e-7
    assert ate_m(nearly, truth, Alignment('se3')) == pytest.approx(0.0, abs=1e-6)


def test_a_vehicle_at_rest_has_no_scale() -> None:
    rest = np.tile(np.eye(4), (4, 1, 1))
    assert ate_m(rest, rest, Alignment('se3')) == 0.0
    assert np.isnan(ate_m(rest, curve(4), Alignment('sim3')))


def test_mistakes_are_refused() -> None:
    with pytest.raises(PerceptionError, match='no alignment'):
        Alignment('horn')
    with pytest.raises(PerceptionError, match='goes with se3 or sim3'):
        Alignment('origin', 3)
    assert str(Alignment('sim3', 10)) == 'sim3 over the first 10 poses'
    assert Alignment('sim3', 10).evo_options == (
        '--align', '--correct_scale', '--n_to_align', '10'
    )
