# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of a node: there while it is active, and gone when it is not."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from perception_nodes.ros.factory import message_class
from perception_nodes.ros.input.assembler import Assembler
from perception_nodes.ros.input.topics import COMPRESSED, Input
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.types import PerceptionError


class Subscriptions:
    """Subscriptions that pass their messages to an assembler.

    Best effort (SensorData), overridable by the parameters ``qos_overrides.<topic>...``.

    Attributes
    ----------
    by_input : the open subscriptions.
    """

    def __init__(
        self, node: Node, inputs: tuple[Input, ...], assembler: Assembler,
        statistics: Statistics, problems: Problems, queue_size: int,
    ) -> None:
        self._node, self._inputs = node, inputs
        self._assembler, self._statistics, self._problems = assembler, statistics, problems
        self._queue_size = queue_size
        self.by_input: dict[Input, Subscription] = {}

    def open(self) -> None:
        """Subscribe to everything."""
        for entry in self._inputs:
            self.by_input[entry] = self._node.create_subscription(
                message_class(entry.type), self._topic(entry), self._callback(entry),
                _qos(self._queue_size),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self.by_input.values():
            self._node.destroy_subscription(subscription)
        self.by_input.clear()

    def _topic(self, entry: Input) -> str:
        """Name to subscribe to; the compressed topic lies below the remapped one."""
        if entry.type != COMPRESSED:
            return entry.name
        return f'{self._node.resolve_topic_name(entry.name)}/compressed'

    def _callback(self, entry: Input) -> Callable[[Any], None]:
        take = self._assembler

        def received(message: Any) -> None:
            self._statistics.count(entry.event)
            try:
                if entry.kind == 'image':
                    take.image(entry.side, message)
                elif entry.kind == 'camera_info':
                    take.info(entry.side, message)
                else:
                    take.auxiliary(entry.task, entry.name, message)
            except PerceptionError as error:
                self._statistics.count('bad')
                self._problems.add(f'{entry.name}: {error}')

        return received


def _qos(depth: int) -> QoSProfile:
    return QoSProfile(
        history=qos_profile_sensor_data.history, depth=depth,
        reliability=qos_profile_sensor_data.reliability,
        durability=qos_profile_sensor_data.durability,
    )
