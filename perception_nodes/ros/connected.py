# SPDX-License-Identifier: Apache-2.0
"""Whether what is published would arrive: subscribers are matched in both directions.

A publisher knows its subscribers before they know it, and what is sent in between reaches nobody
who takes images best effort. Only the subscriber can tell: perception nodes do, in /diagnostics.
"""

from __future__ import annotations  # generic publishers came after Humble

import time
from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from perception_nodes.types import PerceptionError

POLL_S = 0.02
# For subscribers that do not tell.
MATCHED_S = 0.5
# Diagnostics come once a second.
TELLS_WITHIN_S = 3.0
_KEY = 'publishers on '


def connections(node: Node, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """What a node says of its inputs in /diagnostics: how many publishers each is matched with."""
    told = {}
    for subscription in subscriptions:
        topic = subscription.topic_name
        matched = getattr(subscription, 'get_publisher_count', None)  # since Jazzy
        told[_KEY + topic] = str(matched() if matched else node.count_publishers(topic))
    return told


def diagnostics_name(fully_qualified: str) -> str:
    """Name under which a node stands in /diagnostics."""
    return fully_qualified.lstrip('/').replace('/', '_')


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
    """Wait for those subscribers that tell how many publishers they are matched with."""
    told: dict[str, dict[str, int]] = {}

    def received(message: DiagnosticArray) -> None:
        for status in message.status:
            told[status.name] = {
                value.key[len(_KEY):]: int(value.value)
                for value in status.values if value.key.startswith(_KEY)
            }

    executor = SingleThreadedExecutor(context=node.context)
    listener = node.create_subscription(DiagnosticArray, '/diagnostics', received, 50)
    executor.add_node(node)
    end = time.monotonic() + TELLS_WITHIN_S
    try:
        while time.monotonic() < end and not _all_matched(node, topics, told):
            executor.spin_once(POLL_S)
    finally:
        executor.shutdown()
        node.destroy_subscription(listener)


def _all_matched(
    node: Node, topics: tuple[str, ...], told: Mapping[str, Mapping[str, int]]
) -> bool:
    diagnosed = {_name(info) for info in node.get_publishers_info_by_topic('/diagnostics')}
    for topic in topics:
        publishers = node.count_publishers(topic)
        for name in {_name(info) for info in node.get_subscriptions_info_by_topic(topic)}:
            if name in diagnosed and told.get(name, {}).get(topic, 0) < publishers:
                return False
    return True


def _name(info: Any) -> str:
    return diagnostics_name(f'{info.node_namespace}/{info.node_name}')
