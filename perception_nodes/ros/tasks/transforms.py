# SPDX-License-Identifier: Apache-2.0
"""TF where it is installed: tf2_ros, else tf2_msgs alone, else disabled and reported."""

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from perception_nodes.geometry import se3
from perception_nodes.messages.primitives import transform_of_transform, vector
from perception_nodes.ros.factory import RclpyFactory, installed_class, message_class
from perception_nodes.types import FloatArray, Odometry, PerceptionError

TF_MESSAGE = 'tf2_msgs/msg/TFMessage'

try:
    import tf2_ros
except ImportError:  # not among the wheels of the package index
    tf2_ros = None


def tf_missing() -> str:
    """Return what is missing for TF; '' if nothing."""
    if tf2_ros is not None or message_class(TF_MESSAGE) is not None:
        return ''
    return 'neither tf2_ros nor tf2_msgs is installed'


class TransformLookup:
    """Finds static transforms; with tf2_ros moving ones too."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._buffer: Any = None
        self._listener: Any = None
        self._subscription: Any = None
        self._parents: dict[str, tuple[str, FloatArray]] = {}
        if tf2_ros is not None:
            self._buffer = tf2_ros.Buffer(node=node)
            self._listener = tf2_ros.TransformListener(self._buffer, node)
        elif message_class(TF_MESSAGE) is not None:
            latched = QoSProfile(
                history=HistoryPolicy.KEEP_LAST, depth=100,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
            )
            self._subscription = node.create_subscription(
                installed_class(TF_MESSAGE), '/tf_static', self._take, latched
            )

    def find(self, a_frame: str, b_frame: str) -> FloatArray | None:
        """Return a_from_b, float64 [4, 4]; None if the two are not connected (yet)."""
        if self._buffer is None:
            return self._find_static(a_frame, b_frame)
        try:
            found = self._buffer.lookup_transform(a_frame, b_frame, Time())
        except tf2_ros.TransformException:
            return None
        return transform_of_transform(found.transform)

    def close(self) -> None:
        """End the subscriptions."""
        if self._listener is not None:
            self._listener.unregister()
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any) -> None:
        for entry in message.transforms:
            try:
                parent_from_child = transform_of_transform(entry.transform)
            except PerceptionError:
                continue  # a broken transform connects nothing; find() then returns None
            self._parents[entry.child_frame_id] = (entry.header.frame_id, parent_from_child)

    def _find_static(self, a_frame: str, b_frame: str) -> FloatArray | None:
        a_chain, b_chain = self._to_root(a_frame), self._to_root(b_frame)
        shared = next((frame for frame in b_chain if frame in a_chain), None)
        if shared is None:
            return None
        return se3.inverse(a_chain[shared]) @ b_chain[shared]

    def _to_root(self, frame: str) -> dict[str, FloatArray]:
        """Every ancestor of a frame, itself first, to ancestor_from_frame."""
        chain: dict[str, FloatArray] = {frame: np.eye(4)}
        while frame in self._parents:
            parent, parent_from_child = self._parents[frame]
            if parent in chain:
                break  # a loop
            chain[parent] = parent_from_child @ chain[frame]
            frame = parent
        return chain


class TransformBroadcaster:
    """Sends odom -> base_link on /tf."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._factory = RclpyFactory()
        self._publisher = node.create_publisher(installed_class(TF_MESSAGE), '/tf', 100)

    def send(self, odometry: Odometry) -> None:
        """Send the pose of an odometry."""
        make = self._factory.make
        x, y, z, w = (float(q) for q in se3.to_quaternion_xyzw(odometry.odom_from_base))
        self._publisher.publish(make(TF_MESSAGE, transforms=[make(
            'geometry_msgs/msg/TransformStamped',
            header=make(
                'std_msgs/msg/Header', stamp=self._factory.time(odometry.stamp_ns),
                frame_id=odometry.frame_id,
            ),
            child_frame_id=odometry.child_frame_id,
            transform=make(
                'geometry_msgs/msg/Transform',
                translation=vector(self._factory, odometry.odom_from_base[:3, 3]),
                rotation=make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
            ),
        )]))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
