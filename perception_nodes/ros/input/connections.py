# SPDX-License-Identifier: Apache-2.0
"""How many publishers each input is matched with, as /diagnostics reports it.

A publisher knows its subscribers before they know it, and what is sent in between reaches nobody
who takes images best effort. Only the subscriber can report when it is ready: this is where.
"""

from collections.abc import Iterable

from rclpy.node import Node
from rclpy.subscription import Subscription

CONNECTIONS_KEY = 'publishers on '


def connections(node: Node, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """Count the publishers that each input is matched with, as values of /diagnostics."""
    counts = {}
    for subscription in subscriptions:
        topic = subscription.topic_name
        matched = getattr(subscription, 'get_publisher_count', None)  # since Jazzy
        number = matched() if matched else node.count_publishers(topic)
        counts[CONNECTIONS_KEY + topic] = str(number)
    return counts


def diagnostics_name(fully_qualified: str) -> str:
    """Name of a node's status in /diagnostics."""
    return fully_qualified.lstrip('/').replace('/', '_')
