# SPDX-License-Identifier: Apache-2.0
"""The publishers of a node, made from the table of topics."""

from __future__ import annotations  # generic publishers came after Humble

from collections.abc import Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from perception_nodes.messages.topics import Topic
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.factory import message_class

DEPTH = 5


class Outputs:
    """Publishers of some tasks: reliable, latched where a topic is, QoS overridable.

    A Sink of pipelines.publish.

    Attributes
    ----------
    missing : topics that cannot be published because the package of their type is missing.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self.missing: list[str] = []
        self._publishers: dict[str, dict[str, LifecyclePublisher[Any]]] = {}

    def open(self, prefixes: Mapping[str, str]) -> None:
        """Make the publishers.

        Parameters
        ----------
        prefixes : by task, what its topics lie below: '~/' in a node of one task,
            'segmentation_node/' in perception_node.
        """
        for task, prefix in prefixes.items():
            self._publishers[task] = {}
            for topic in TASKS[task].topics:
                publisher = self._publisher(topic, prefix)
                if publisher is not None:
                    self._publishers[task][topic.name] = publisher

    def wanted(self, task: str) -> set[str]:
        """Names of the task's topics that somebody listens to now."""
        return {
            name for name, publisher in self._publishers[task].items()
            if publisher.get_subscription_count() > 0
        }

    def put(self, task: str, topic: str, message: Any, stamp_ns: int) -> None:
        """Publish a message, where its type is installed."""
        publisher = self._publishers[task].get(topic)
        if publisher is not None:
            publisher.publish(message)

    def close(self) -> None:
        """Destroy the publishers."""
        for publishers in self._publishers.values():
            for publisher in publishers.values():
                self._node.destroy_lifecycle_publisher(publisher)
            publishers.clear()

    def _publisher(self, topic: Topic, prefix: str) -> LifecyclePublisher[Any] | None:
        known = message_class(topic.type)
        if known is None:
            self.missing.append(f'{prefix}{topic.name} ({topic.type} is not installed)')
            return None
        return self._node.create_lifecycle_publisher(
            known, prefix + topic.name, _qos(topic),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def _qos(topic: Topic) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1 if topic.latched else DEPTH,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE
        ),
    )
