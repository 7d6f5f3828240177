# SPDX-License-Identifier: Apache-2.0
"""The parts that messages share: stamps, headers, poses with covariance."""

from typing import Any

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.types import FloatArray, PerceptionError

NS_PER_S = 1_000_000_000
FARTHEST_M = 1e8  # no frame is so far from its parent: even geocentric ones are 6.4e6 m away


def stamp_ns(time: Any) -> int:
    """Return builtin_interfaces/Time as integer nanoseconds.

    Raises
    ------
    PerceptionError
        If nanosec is not below one second, or sec is negative: such a stamp orders nothing.
    """
    seconds, nanoseconds = int(time.sec), int(time.nanosec)
    if seconds < 0 or not 0 <= nanoseconds < NS_PER_S:
        raise PerceptionError(f'invalid stamp: sec {seconds}, nanosec {nanoseconds}')
    return seconds * NS_PER_S + nanoseconds


def header(factory: MessageFactory, stamp: int, frame_id: str) -> Any:
    """Make a std_msgs/Header; the stamp is integer nanoseconds."""
    return factory.make('std_msgs/msg/Header', stamp=factory.time(stamp), frame_id=frame_id)


def vector(factory: MessageFactory, xyz: FloatArray) -> Any:
    """Make a geometry_msgs/Vector3 of [3]."""
    x, y, z = (float(value) for value in xyz)
    return factory.make('geometry_msgs/msg/Vector3', x=x, y=y, z=z)


def pose(factory: MessageFactory, a_from_b: FloatArray) -> Any:
    """Make a geometry_msgs/Pose of b in a from a transform [4, 4]."""
    x, y, z = (float(value) for value in a_from_b[:3, 3])
    qx, qy, qz, qw = (float(value) for value in se3.to_quaternion_xyzw(a_from_b))
    return factory.make(
        'geometry_msgs/msg/Pose',
        position=factory.make('geometry_msgs/msg/Point', x=x, y=y, z=z),
        orientation=factory.make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw),
    )


def pose_with_covariance(
    factory: MessageFactory, a_from_b: FloatArray, covariance: FloatArray
) -> Any:
    """Make a geometry_msgs/PoseWithCovariance; covariance [6, 6] of (x y z, rotation X Y Z)."""
    return factory.make(
        'geometry_msgs/msg/PoseWithCovariance',
        pose=pose(factory, a_from_b),
        covariance=factory.floats_field(np.asarray(covariance, np.float64).reshape(36)),
    )


def twist_with_covariance(
    factory: MessageFactory, twist: FloatArray, covariance: FloatArray
) -> Any:
    """Make a geometry_msgs/TwistWithCovariance; twist [6] linear m/s, then angular rad/s."""
    return factory.make(
        'geometry_msgs/msg/TwistWithCovariance',
        twist=factory.make(
            'geometry_msgs/msg/Twist',
            linear=vector(factory, twist[:3]), angular=vector(factory, twist[3:]),
        ),
        covariance=factory.floats_field(np.asarray(covariance, np.float64).reshape(36)),
    )


def transform_of_pose(message: Any) -> FloatArray:
    """Return a geometry_msgs/Pose as a transform [4, 4].

    Raises
    ------
    PerceptionError
        If the pose is not finite or its quaternion has no length.
    """
    position, orientation = message.position, message.orientation
    return _transform(position, orientation)


def transform_of_transform(message: Any) -> FloatArray:
    """Return a geometry_msgs/Transform as a transform [4, 4]; errors as transform_of_pose."""
    return _transform(message.translation, message.rotation)


def _transform(translation: Any, rotation: Any) -> FloatArray:
    xyz = np.array([translation.x, translation.y, translation.z], np.float64)
    xyzw = np.array([rotation.x, rotation.y, rotation.z, rotation.w], np.float64)
    if not (np.isfinite(xyz).all() and np.isfinite(xyzw).all()):
        raise PerceptionError('a pose holds values that are not finite')
    if np.abs(xyz).max() > FARTHEST_M:
        raise PerceptionError(f'a pose is {np.abs(xyz).max():.3g} m away: that is no place')
    if abs(float(np.linalg.norm(xyzw)) - 1.0) > 0.1:
        raise PerceptionError(f'a quaternion has length {np.linalg.norm(xyzw):.3g}, not 1')
    return se3.from_quaternion_xyzw(xyzw, xyz)
