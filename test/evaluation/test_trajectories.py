# SPDX-License-Identifier: Apache-2.0
"""Trajectories as other tools read them, and that they hold the poses that were scored."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception_nodes.evaluation.trajectories import (
    evo_commands,
    kitti_text,
    tum_text,
    write_trajectories,
)
from perception_nodes.geometry.se3 import exp
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.types import PerceptionError

START_NS = 1_700_000_000_123_456_789


def metric() -> OdometryMetric:
    """Three poses with errors, at 10 Hz."""
    result = OdometryMetric()
    for number in range(3):
        truth = exp(np.array([1.0 * number, 0.2, 0.0, 0.1, 0.2, 0.3 * number]))
        error = exp(np.array([0.0, 0.1 * number, 0.0, 0.0, 0.0, 0.01]))
        result.update(truth @ error, truth, stamp_ns=START_NS + number * 10**8)
    return result


def test_tum_rows_hold_stamp_position_and_quaternion() -> None:
    estimate, _ = metric().poses()
    rows = [line.split() for line in tum_text(metric().stamps_ns, estimate).splitlines()]
    assert [row[0] for row in rows] == [
        '1700000000.123456789', '1700000000.223456789', '1700000000.323456789'
    ]
    numbers = np.array([row[1:] for row in rows], np.float64)
    np.testing.assert_allclose(numbers[:, :3], estimate[:, :3, 3], rtol=1e-11)
    turns = Rotation.from_quat(numbers[:, 3:]).as_matrix()
    np.testing.assert_allclose(turns, estimate[:, :3, :3], atol=1e-11)


def test_kitti_rows_are_the_upper_part_of_the_matrix() -> None:
    estimate, _ = metric().poses()
    rows = np.array([line.split() for line in kitti_text(estimate).splitlines()], np.float64)
    np.testing.assert_allclose(rows.reshape(-1, 3, 4), estimate[:, :3], rtol=1e-11, atol=1e-11)


def test_files_of_all_methods_and_one_ground_truth(tmp_path: Path) -> None:
    write_trajectories(tmp_path / 'new', {'ours': metric(), 'orb': metric()})
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == [
        'ground_truth.tum', 'ground_truth_kitti.txt', 'orb.tum', 'orb_kitti.txt', 'ours.tum',
        'ours_kitti.txt',
    ]


def test_commands_name_files_alignment_and_number() -> None:
    text = evo_commands('ours', Alignment('sim3', 5), {'ate_m': 0.25, 'rpe_m': 0.125}, 'here/')
    assert text.splitlines() == [
        'evo_ape tum here/ground_truth.tum here/ours.tum --align --correct_scale --n_to_align 5'
        '  # rmse 0.250000 = ate_m',
        'evo_rpe tum here/ground_truth.tum here/ours.tum --delta 1 --delta_unit f'
        '  # rmse 0.125000 = rpe_m',
    ]


def test_stamps_must_rise() -> None:
    with pytest.raises(PerceptionError, match='stamps that rise'):
        tum_text([5, 5], np.tile(np.eye(4), (2, 1, 1)))
