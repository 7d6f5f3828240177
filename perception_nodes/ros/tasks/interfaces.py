# SPDX-License-Identifier: Apache-2.0
"""Which tasks add what to their node: the one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perception_nodes.ros.tasks.interface import TaskInterface, TaskSite
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.ros.tasks.odometry import OdometryInterface, OdometryNodeConfig
from perception_nodes.ros.tasks.place_map import MapConfig, MapInterface


@dataclass(frozen=True)
class InterfaceKind:
    """What a task adds to its node.

    Attributes
    ----------
    config : dataclass of its ROS parameters. open : makes the interface.
    """

    config: type[Any]
    open: Callable[[TaskSite, Any, Loaded], TaskInterface]


INTERFACES: dict[str, InterfaceKind] = {
    'visual_odometry': InterfaceKind(OdometryNodeConfig, OdometryInterface),
    'place_recognition': InterfaceKind(MapConfig, MapInterface),
}
