# SPDX-License-Identifier: Apache-2.0
"""Sixty metres of a real road: the position at the end against the recorded one."""

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry import VisualOdometryPipeline
from perception_nodes.types import Camera, Image, StereoRig


@pytest.fixture(scope='module')
def drive(shared):
    """Messages by topic."""
    rosbags = pytest.importorskip('rosbags.highlevel')
    folder = shared / 'bags' / 'kitti_06_stereo'
    if not folder.is_dir():
        pytest.skip(f'real data is missing: {folder}')
    messages = {}
    with rosbags.AnyReader([folder]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            messages.setdefault(connection.topic, []).append(message)
    return messages


def image(message):
    """Take a mono8 message."""
    data = message.data.reshape(message.height, message.step)[:, : message.width]
    return Image(data, message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def camera(info):
    """Take a camera_info."""
    return Camera(info.width, info.height, info.k.reshape(3, 3), info.p.reshape(3, 4))


def pose(message):
    """Take odom_from_base of a nav_msgs/Odometry."""
    p, q = message.pose.pose.position, message.pose.pose.orientation
    return se3.from_quaternion_xyzw(np.array([q.x, q.y, q.z, q.w]), np.array([p.x, p.y, p.z]))


def test_the_end_is_within_two_percent_of_the_path(drive):
    rig = StereoRig(
        camera(drive['/stereo/left/camera_info'][0]), camera(drive['/stereo/right/camera_info'][0])
    )
    pipeline = VisualOdometryPipeline()
    pairs = zip(
        drive['/stereo/left/image_rect'], drive['/stereo/right/image_rect'], strict=True
    )
    results = [pipeline(image(left), image(right), rig) for left, right in pairs]
    truth = np.stack([pose(message)[:3, 3] for message in drive['/ground_truth/odometry']])
    path_m = np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()
    assert len(results) == 51 and all(result.tracking for result in results)
    error = results[-1].odom_from_base[:3, 3] - truth[-1]
    assert np.linalg.norm(error) < 0.02 * path_m
    deviation = np.sqrt(np.diag(results[-1].pose_covariance)[:3])
    assert np.all(np.abs(error) < 3 * deviation) and np.all(deviation < 0.01 * path_m)
