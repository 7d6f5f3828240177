# SPDX-License-Identifier: Apache-2.0
"""Playing a recorded sequence to live nodes, as ``ros2 bag play`` does where that is installed."""

from __future__ import annotations  # generic publishers came after Humble

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from perception_nodes.bags.reader import BagReader, RawMessage, open_bag
from perception_nodes.ros.factory import RclpyFactory, any_message_class
from perception_nodes.ros.tools.subscribers import wait_for_subscribers
from perception_nodes.types import PerceptionError

LATCHED = ('/tf_static',)
CLOCK_PERIOD_S = 0.01
LINGER_S = 0.3


@dataclass
class Played:
    """What was sent.

    Attributes
    ----------
    counts : messages by topic.
    skipped : by topic, its type, which is not installed here.
    late_s : how far the sending fell behind at worst, seconds.
    """

    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    late_s: float = 0.0


def play(
    path: str | Path, *, rate: float = 1.0, topics: Collection[str] | None = None,
    remap: Mapping[str, str] | None = None, clock: bool = False,
    subscribers: Mapping[str, int] | None = None, wait_s: float = 20.0,
    progress: Callable[[int, int], None] | None = None, context: Context | None = None,
) -> Played:
    """Send the messages of a bag at the pace of their recording.

    Parameters
    ----------
    path : of the bag.
    rate : 2 plays twice as fast.
    topics : which to play; None = all whose types are installed.
    remap : topic of the bag to topic to publish on.
    clock : publish ``/clock`` with the time of the recording.
    subscribers : by topic (after remapping), how many must listen before it starts; perception
        nodes among them must also report that they have discovered the player.
    wait_s : how long to wait for them.
    progress : called with (messages sent, messages in all).
    context : None = one of its own.

    Raises
    ------
    PerceptionError
        If the bag cannot be read, has none of the topics, or nobody listens in time.
    """
    if not rate > 0:
        raise PerceptionError(f'rate is {rate}; it must be positive')
    with open_bag(path) as bag, _node(context) as node:
        played = Played()
        publishers = _publishers(node, bag, topics, remap or {}, played)
        total = sum(bag.topics()[topic].count for topic in publishers)
        ticker = _Clock(node) if clock else None
        wait_for_subscribers(node, publishers.values(), subscribers or {}, wait_s)
        _send(bag.raw_messages(publishers), publishers, rate, ticker, played, progress, total)
        # Let the last ones go out before the publishers are destroyed; who takes them best effort
        # acknowledges nothing.
        for publisher in publishers.values():
            publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=1))
        time.sleep(LINGER_S)
        return played


@contextmanager
def _node(context: Context | None) -> Iterator[Node]:
    own = context is None
    context = context or Context()
    if own:
        rclpy.init(args=[], context=context)
    node = rclpy.create_node('play', context=context, start_parameter_services=False)
    try:
        yield node
    finally:
        node.destroy_node()
        if own:
            context.try_shutdown()


def _publishers(
    node: Node, bag: BagReader, topics: Collection[str] | None, remap: Mapping[str, str],
    played: Played,
) -> dict[str, Publisher[Any]]:
    known = bag.topics()
    missing = sorted(set(topics or ()) - set(known))
    if missing:
        raise PerceptionError(f'{bag.path} has no topic {", ".join(missing)}')
    publishers: dict[str, Publisher[Any]] = {}
    for topic in topics if topics is not None else known:
        message = any_message_class(known[topic].type)
        if message is None:
            played.skipped[topic] = known[topic].type
            continue
        publishers[topic] = node.create_publisher(message, remap.get(topic, topic), _qos(topic))
        played.counts[topic] = 0
    if not publishers:
        raise PerceptionError(f'{bag.path} has no topic whose message type is installed')
    return publishers


def _qos(topic: str) -> QoSProfile:
    latched = topic in LATCHED
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


class _Clock:
    """Tells the time of the recording."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Clock, '/clock', 10)
        self._factory = RclpyFactory()

    def advance(self, now_ns: int) -> None:
        self._publisher.publish(Clock(clock=self._factory.time(now_ns)))


def _send(
    messages: Iterator[RawMessage], publishers: Mapping[str, Publisher[Any]], rate: float,
    ticker: _Clock | None, played: Played, progress: Callable[[int, int], None] | None,
    total: int,
) -> None:
    start_s: float | None = None
    first_ns = 0
    for sent, message in enumerate(messages, 1):
        if start_s is None:
            start_s, first_ns = time.monotonic(), message.recorded_ns
        due_s = start_s + (message.recorded_ns - first_ns) / 1e9 / rate
        while (ahead_s := due_s - time.monotonic()) > 0:
            if ticker is not None:
                ticker.advance(message.recorded_ns - round(ahead_s * 1e9 * rate))
            time.sleep(min(ahead_s, CLOCK_PERIOD_S))
        played.late_s = max(played.late_s, -ahead_s)
        if ticker is not None:
            ticker.advance(message.recorded_ns)
        publishers[message.topic].publish(bytes(message.data))
        played.counts[message.topic] += 1
        if progress is not None:
            progress(sent, total)
