# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of a node: they exist only while it is active."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from perception_nodes.ros.factory import installed_class
from perception_nodes.ros.input.assembler import Assembler
from perception_nodes.ros.input.libraries import MESSAGE_FILTERS, installed_library
from perception_nodes.ros.input.topics import COMPRESSED, Input
from perception_nodes.types import PerceptionError

# Takes the name of an input and its message_filters.Subscriber; returns the filter to take from.
FilterInput = Callable[[str, Any], Any]


class Subscriptions:
    """Subscriptions that pass their messages to an assembler.

    Where message_filters is installed each is a ``message_filters.Subscriber``, so that other
    filters can stand between it and the assembler.

    Best effort (SensorData), overridable by the parameters ``qos_overrides.<topic>...``. A
    camera_info that is latched (published once, transient local) reaches nobody who does not ask
    for it so, and who does reaches no other: where one is offered, a second subscription takes it.

    Parameters
    ----------
    taken : called after each message, in its callback.
    filter_input : puts filters in front of an input; called where message_filters is installed.

    Attributes
    ----------
    by_input : the open subscriptions.
    """

    def __init__(
        self, node: Node, inputs: tuple[Input, ...], assembler: Assembler, queue_size: int,
        taken: Callable[[], None], filter_input: FilterInput,
    ) -> None:
        self._node, self._inputs, self._assembler = node, inputs, assembler
        self._queue_size, self._taken, self._filter_input = queue_size, taken, filter_input
        self._filters = installed_library(MESSAGE_FILTERS)
        self.by_input: dict[Input, Subscription] = {}
        self._latched: dict[Input, Subscription] = {}

    def open(self) -> None:
        """Subscribe to everything."""
        for entry in self._inputs:
            self.by_input[entry] = self._subscribe(
                entry, self._topic(entry), _qos(self._queue_size), latched=False,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        self.follow_latched()

    def follow_latched(self) -> None:
        """Subscribe to camera_infos that are latched; call it now and then, publishers come."""
        for entry, subscription in self.by_input.items():
            if entry.kind != 'camera_info' or entry in self._latched or _is_latched(subscription):
                continue
            topic = subscription.topic_name
            offers = [
                info.qos_profile for info in self._node.get_publishers_info_by_topic(topic)
                if info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            ]
            if offers:
                self._latched[entry] = self._subscribe(
                    entry, topic, _latched_qos(offers), latched=True
                )

    def close(self) -> None:
        """End all subscriptions."""
        for subscriptions in (self.by_input, self._latched):
            for subscription in subscriptions.values():
                self._node.destroy_subscription(subscription)
            subscriptions.clear()

    def _subscribe(
        self, entry: Input, topic: str, qos: QoSProfile, *, latched: bool, **options: Any
    ) -> Subscription:
        kind = installed_class(entry.type)
        arrived, take = partial(self._arrived, entry), self._callback(entry, latched)
        if self._filters is None:
            def received(message: Any) -> None:
                arrived(message)
                take(message)

            return self._node.create_subscription(kind, topic, received, qos, **options)
        source = self._filters.Subscriber(self._node, kind, topic, qos_profile=qos, **options)
        # Counted before any filter: one that lets nothing through is no camera that is silent.
        source.registerCallback(arrived)
        self._filter_input(entry.name, source).registerCallback(take)
        subscription: Subscription = source.sub
        return subscription

    def _arrived(self, entry: Input, message: Any) -> None:
        self._assembler.statistics.count(entry.event)

    def _topic(self, entry: Input) -> str:
        """Name to subscribe to; the compressed topic lies below the remapped one."""
        if entry.type != COMPRESSED:
            return entry.name
        return f'{self._node.resolve_topic_name(entry.name)}/compressed'

    def _asks_latched(self, entry: Input) -> bool:
        own = self.by_input.get(entry)
        return own is not None and _is_latched(own)

    def _callback(self, entry: Input, latched: bool) -> Callable[[Any], None]:
        take = self._assembler

        def received(message: Any) -> None:
            try:
                if entry.kind == 'image':
                    take.image(entry.side, message)
                elif entry.kind == 'camera_info':
                    take.info(entry.side, message, latched=latched or self._asks_latched(entry))
                else:
                    take.auxiliary(entry.task, entry.name, message)
            except Exception as error:  # whatever it was, no message ends the node
                reason = error if isinstance(error, PerceptionError) else repr(error)
                take.statistics.count('bad')
                take.problems.add(f'{entry.name}: {reason}')
            self._taken()

        return received


def _qos(depth: int) -> QoSProfile:
    return QoSProfile(
        history=qos_profile_sensor_data.history, depth=depth,
        reliability=qos_profile_sensor_data.reliability,
        durability=qos_profile_sensor_data.durability,
    )


def _latched_qos(offers: list[QoSProfile]) -> QoSProfile:
    reliable = any(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def _is_latched(subscription: Subscription) -> bool:
    """Whether a subscription asks for latched messages itself (qos_overrides)."""
    return bool(subscription.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)
