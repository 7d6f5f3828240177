# SPDX-License-Identifier: Apache-2.0
"""CameraInfo in and out, with what drivers leave out and what they get wrong."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.messages.camera import camera_from_info, info_from_camera, rectified
from perception_nodes.types import Camera, PerceptionError

K = np.array([[500.0, 0.0, 320.5], [0.0, 510.0, 240.25], [0.0, 0.0, 1.0]])
P = np.array([[480.0, 0, 321, -60.0], [0, 480.0, 239, 0], [0, 0, 1, 0]])


@pytest.fixture
def camera() -> Camera:
    """Give a distorted right camera."""
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return Camera(640, 480, K, P, turn, (0.1, -0.2, 0.01, 0.02, 0.0), 'plumb_bob', 'right')


def test_every_field_comes_back(
    camera: Camera, factory: BagFactory, wire: Callable[[Any], Any]
) -> None:
    message = wire(info_from_camera(camera, factory, 42))
    back = camera_from_info(message)
    for entry in fields(Camera):
        np.testing.assert_array_equal(getattr(back, entry.name), getattr(camera, entry.name))
    assert message.header.stamp.nanosec == 42


def test_zero_p_and_r_mean_not_rectified(camera: Camera, factory: BagFactory) -> None:
    message = info_from_camera(camera, factory, 0)
    message.p, message.r = np.zeros(12), np.zeros(9)
    back = camera_from_info(message)
    np.testing.assert_array_equal(back.p, np.hstack([K, np.zeros((3, 1))]))
    np.testing.assert_array_equal(back.r, np.eye(3))


def test_binning_and_region_describe_the_published_image(
    camera: Camera, factory: BagFactory
) -> None:
    message = info_from_camera(camera, factory, 0)
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 400, 200
    message.binning_x, message.binning_y = 2, 2
    back = camera_from_info(message)
    assert (back.width, back.height) == (200, 100)
    # A ray through pixel (120, 60) of the full image lands at (20, 20) of the region and, as
    # pixel centres count, at (9.75, 9.75) of the binned one.
    ray = np.linalg.inv(K) @ [120.0, 60.0, 1.0]
    np.testing.assert_allclose((back.k @ ray)[:2], [9.75, 9.75])
    assert back.p[0, 3] / back.p[0, 0] == pytest.approx(P[0, 3] / P[0, 0])


def test_rectified_is_what_p_says(camera: Camera) -> None:
    ideal = rectified(camera)
    assert not ideal.distorted
    np.testing.assert_array_equal(ideal.k, P[:, :3])
    np.testing.assert_array_equal(ideal.p, P)


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('k', np.zeros(9), r'uncalibrated camera: K\[0\]'),
        ('k', np.full(9, np.nan), r'uncalibrated camera: K\[0\]'),
        ('p', np.full(12, np.inf), 'not finite'),
        ('p', np.r_[-1.0, np.zeros(10), 1.0], 'unrectified'),
        ('width', 0, 'not positive'),
        ('height', 0, 'not positive'),
    ],
)
def test_unusable_calibration_is_refused(
    camera: Camera, factory: BagFactory, name: str, value: Any, reason: str
) -> None:
    message = info_from_camera(camera, factory, 0)
    setattr(message, name, value)
    with pytest.raises(PerceptionError, match=reason):
        camera_from_info(message)


def test_a_region_outside_the_image_is_refused(camera: Camera, factory: BagFactory) -> None:
    message = info_from_camera(camera, factory, 0)
    message.roi.x_offset, message.roi.width, message.roi.height = 600, 100, 10
    with pytest.raises(PerceptionError, match='leaves the 640x480 image'):
        camera_from_info(message)
