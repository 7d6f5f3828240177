# SPDX-License-Identifier: Apache-2.0
"""Waits until what is published would arrive: subscribers are matched in both directions."""

from __future__ import annotations  # generic publishers came after Humble

import time
from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher

from perception_nodes.ros.input.connections import CONNECTIONS_KEY, diagnostics_name
from perception_nodes.types import PerceptionError

POLL_S = 0.02
# For subscribers that do not report it.
MATCHED_S = 0.5
# Diagnostics come once a second.
TELLS_WITHIN_S = 3.0


def wait_for_subscribers(
    node: Node, publishers: Iterable[Publisher[Any]], subscribers: Mapping[str, int],
    wait_s: float,
) -> None:
    """Wait until that many subscriptions a topic are matched, in both directions.

    Parameters
    ----------
    node : of the publishers; no executor may have it.
    subscribers : how many by topic; empty = do not wait.

    Raises
    ------
    PerceptionError
        If a topic is not published here, or too few subscribe within wait_s.
    """
    by_name = {publisher.topic_name: publisher for publisher in publishers}
    missing = [topic for topic in subscribers if topic not in by_name]
    if missing:
        raise PerceptionError(f'nothing is played on {missing[0]}')
    end = time.monotonic() + wait_s
    for topic, number in subscribers.items():
        while (matched := by_name[topic].get_subscription_count()) < number:
            if time.monotonic() > end:
                raise PerceptionError(
                    f'{matched} of {number} subscribers on {topic} after {wait_s:g} s: are the '
                    'nodes running, in the same ROS_DOMAIN_ID?'
                )
            time.sleep(POLL_S)
    if subscribers:
        time.sleep(MATCHED_S)
        _wait_until_they_say_so(node, tuple(by_name))


def _wait_until_they_say_so(node: Node, topics: tuple[str, ...]) -> None:
    """Wait for those subscribers that report how many publishers they are matched with."""
    matched_publishers: dict[str, dict[str, int]] = {}

    def received(message: DiagnosticArray) -> None:
        for status in message.status:
            matched_publishers[status.name] = {
                value.key[len(CONNECTIONS_KEY):]: int(value.value)
                for value in status.values if value.key.startswith(CONNECTIONS_KEY)
            }

    executor = SingleThreadedExecutor(context=node.context)
    listener = node.create_subscription(DiagnosticArray, '/diagnostics', received, 50)
    executor.add_node(node)
    end = time.monotonic() + TELLS_WITHIN_S
    try:
        while time.monotonic() < end and not _all_matched(node, topics, matched_publishers):
            executor.spin_once(POLL_S)
    finally:
        executor.shutdown()
        node.destroy_subscription(listener)


def _all_matched(
    node: Node, topics: tuple[str, ...], matched_publishers: Mapping[str, Mapping[str, int]]
) -> bool:
    diagnosed = {_name(info) for info in node.get_publishers_info_by_topic('/diagnostics')}
    for topic in topics:
        publishers = node.count_publishers(topic)
        for name in {_name(info) for info in node.get_subscriptions_info_by_topic(topic)}:
            if name in diagnosed and matched_publishers.get(name, {}).get(topic, 0) < publishers:
                return False
    return True


def _name(info: Any) -> str:
    return diagnostics_name(f'{info.node_namespace}/{info.node_name}')
