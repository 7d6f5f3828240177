# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo to a Camera and back."""

from dataclasses import replace
from typing import Any

import numpy as np

from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.primitives import header
from perception_nodes.types import Camera, PerceptionError


def is_calibrated(message: Any) -> bool:
    """Return whether a sensor_msgs/CameraInfo is of a calibrated camera: K[0] is not 0."""
    return bool(message.k[0] != 0.0)


def camera_from_info(message: Any) -> Camera:
    """Return the calibration of the image that the message comes with.

    Binning and a region of interest are worked in: the camera is that of the published image.
    A driver that leaves P or R at zero has not rectified: P becomes K, R the identity.

    Raises
    ------
    PerceptionError
        If the camera is uncalibrated (K[0] = 0), has no size, or holds values that are not
        finite.
    """
    k = np.array(message.k, np.float64).reshape(3, 3)
    r = np.array(message.r, np.float64).reshape(3, 3)
    p = np.array(message.p, np.float64).reshape(3, 4)
    if not k[0, 0] > 0.0:
        raise PerceptionError(
            f'uncalibrated camera: K[0] of camera_info is {k[0, 0]:g}; calibrate it first'
        )
    if not p.any():
        p = np.hstack([k, np.zeros((3, 1))])
    if not r.any():
        r = np.eye(3)
    camera = Camera(
        int(message.width), int(message.height), k, p, r,
        tuple(float(value) for value in message.d), str(message.distortion_model) or 'plumb_bob',
        str(message.header.frame_id),
    )
    return _binned(_cropped(camera, message.roi), message)


def info_from_camera(camera: Camera, factory: MessageFactory, stamp: int) -> Any:
    """Make a sensor_msgs/CameraInfo; the stamp is integer nanoseconds."""
    return factory.make(
        'sensor_msgs/msg/CameraInfo', header=header(factory, stamp, camera.frame_id),
        height=int(camera.height), width=int(camera.width),
        distortion_model=camera.distortion_model, d=factory.floats_field(camera.d),
        k=factory.floats_field(camera.k.reshape(9)), r=factory.floats_field(camera.r.reshape(9)),
        p=factory.floats_field(camera.p.reshape(12)), binning_x=0, binning_y=0,
        roi=full_region(factory, 0, 0),
    )


def rectified(camera: Camera) -> Camera:
    """Return the camera of the rectified image: no distortion, K as in P."""
    return replace(camera, k=camera.rectified_k, r=np.eye(3), d=(), distortion_model='plumb_bob')


def full_region(factory: MessageFactory, width: int, height: int) -> Any:
    """Make a sensor_msgs/RegionOfInterest from the corner; 0 x 0 means the full image."""
    return factory.make(
        'sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=height, width=width,
        do_rectify=False,
    )


def _cropped(camera: Camera, region: Any) -> Camera:
    """Move the principal point into the region of interest, if there is one."""
    width, height = int(region.width), int(region.height)
    if width == 0 or height == 0:
        return camera
    x, y = int(region.x_offset), int(region.y_offset)
    if x + width > camera.width or y + height > camera.height:
        raise PerceptionError(
            f'region of interest {width}x{height}+{x}+{y} leaves the '
            f'{camera.width}x{camera.height} image of camera_info'
        )
    shift = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    return replace(camera, width=width, height=height, k=shift @ camera.k, p=shift @ camera.p)


def _binned(camera: Camera, message: Any) -> Camera:
    """Scale to the binned image; binning 0 means 1."""
    x, y = max(int(message.binning_x), 1), max(int(message.binning_y), 1)
    if (x, y) == (1, 1):
        return camera
    return camera.resized(camera.width // x, camera.height // y)
