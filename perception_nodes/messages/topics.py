# SPDX-License-Identifier: Apache-2.0
"""What a topic of a node is: name, type, and when it is published."""

from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
ODOMETRY = 'nav_msgs/msg/Odometry'
STRING = 'std_msgs/msg/String'


@dataclass(frozen=True)
class Topic:
    """One topic that a node publishes.

    Attributes
    ----------
    name : below the node's own name: 'mask' is published as ``~/mask``.
    type : full ROS 2 type.
    meaning : one line for people, with the unit.
    latched : transient local: who comes later gets the last message.
    on_demand : made only while somebody listens, for it costs time and only eyes want it.
    optional : only where the package of its type is installed.
    cumulative : each message holds what the ones before it held; a bag keeps the last alone.
    """

    name: str
    type: str
    meaning: str
    latched: bool = False
    on_demand: bool = False
    optional: bool = False
    cumulative: bool = False


# What every task's node publishes.
MODEL_INFO = Topic('model_info', STRING, 'JSON: model card and engine key', latched=True)


def node_name(task: str) -> str:
    """Name of the node of a task."""
    return f'{task}_node'


def full_name(task: str, topic: str) -> str:
    """Name of a topic when its node runs under its own name in the root namespace."""
    return f'/{node_name(task)}/{topic}'
