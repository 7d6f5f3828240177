# SPDX-License-Identifier: Apache-2.0
"""Stamps that are late, go back or stand still, over DDS, with the poses that follow from them."""


import numpy as np
import pytest
from nav_msgs.msg import Odometry, Path

# The camera moves 5 cm to its right each time: to -y of base_link.
STEP_M = -0.05
JUMP = {'mount': 'parameter', 'clock_jump_s': 0.3}


@pytest.fixture
def driven(bench):
    """Send pairs one by one; gives (node, poses by arrival, path messages)."""
    def drive(pairs, dropped=(), **parameters):
        node = bench.add('visual_odometry', {**JUMP, **parameters})
        bench.active(node)
        received = bench.listen(Odometry, '/visual_odometry_node/odometry')
        paths = bench.listen(Path, '/visual_odometry_node/path')
        bench.connect_cameras()
        for number, pair in enumerate(pairs):
            answered = len(received)
            bench.send(pair)
            if number in dropped:
                bench.until(lambda: node.statistics.counted('late') == 1)
            else:
                bench.until(lambda n=answered: len(received) == n + 1)
        bench.until(lambda: paths and len(paths[-1].poses) > 0)
        return node, received, paths

    return drive


def positions(received):
    """Y of base_link in odom."""
    return np.array([message.pose.pose.position.y for message in received])


def test_two_frames_swapped_are_no_reason_to_forget(driven, diagnosis, wall):
    """The late one is dropped and told; the pose goes on."""
    a, b, c, d, e = wall(5)
    node, received, _ = driven([a, b, d, c, e], dropped=(3,))
    np.testing.assert_allclose(positions(received), np.array([0, 1, 3, 4]) * STEP_M, atol=0.01)
    level, message, values = diagnosis(node)
    assert level == 1 and '1 late frame was dropped (the latest by 100.0 ms)' in message
    assert (values['late'], values['time_jumps']) == ('1', '0')


def test_simulated_time_that_starts_again_is_a_new_drive(driven, diagnosis, wall):
    """A looped bag with /clock: the poses of the second run are those of the first."""
    pairs = wall(5)
    node, received, _ = driven([*pairs, *pairs], use_sim_time=True)
    y = positions(received)
    assert y[4] == pytest.approx(4 * STEP_M, abs=0.01)
    np.testing.assert_array_equal(y[5:], y[:5])
    level, message, values = diagnosis(node)
    assert level == 1 and 'stamps went back for good' in message and values['time_jumps'] == '1'


def test_clock_of_a_vehicle_that_is_set_back_keeps_the_pose(driven, diagnosis, wall):
    """REP 105: odom is continuous; the pose goes on from where it was, less certain."""
    pairs = wall(5)
    node, received, _ = driven([*pairs, *pairs])
    y = positions(received)
    assert y[5] == pytest.approx(y[4], abs=1e-9)
    np.testing.assert_allclose(y[5:] - y[5], y[:5], atol=0.01)
    sigma_m = np.sqrt([message.pose.covariance[7] for message in received])
    assert sigma_m[5] > sigma_m[4] + 0.5
    assert diagnosis(node)[0] == 1


def test_stamps_that_stand_still_are_an_error(driven, diagnosis, wall):
    """A simulator that never fills header.stamp in: the pose cannot move, and that is told."""
    node, received, _ = driven(wall(5, stamps_ns=[0] * 5))
    assert np.all(positions(received) == 0.0)
    level, message, values = diagnosis(node)
    assert level == 2 and 'stamps do not advance: the last 5 images all have stamp 0.0' in message
    assert values['repeated_stamps'] == '4'
