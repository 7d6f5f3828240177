# SPDX-License-Identifier: Apache-2.0
"""Why a node is silent: the exact reason, in one line."""

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import get_rmw_implementation_identifier

from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros import image_delivery
from perception_nodes.ros.input.assembler import Assembler
from perception_nodes.ros.input.topics import COMPRESSED, Input
from perception_nodes.ros.statistics import Statistics
from perception_nodes.text import short_list

SILENT_S = 2.0


@dataclass(frozen=True)
class View:
    """What the reasons are found in.

    Attributes
    ----------
    subscriptions : the open inputs.
    tolerance_s : of the stamps of a pair; None: they have to be equal.
    frames_event : what counts a whole frame.
    """

    node: Node
    subscriptions: dict[Input, Subscription]
    statistics: Statistics
    assembler: Assembler
    tolerance_s: float | None
    frames_event: str = 'in'


def silent_because(view: View) -> str:
    """Return why no frame came in the last seconds; '' while they come."""
    if view.statistics.seconds_since(view.frames_event) < SILENT_S:
        return ''
    for entry, subscription in view.subscriptions.items():
        if entry.kind == 'auxiliary' or _arrives(view, entry):
            continue
        reason = _not_arriving(view, entry, subscription)
        if reason:
            return reason
    return _arriving_but_no_frame(view)


def taken_for_rectified(view: View) -> str:
    """Return which raw images are taken for rectified ones; '' if none seem to be."""
    for entry, subscription in view.subscriptions.items():
        info = view.assembler.infos.get(entry.side)
        if entry.kind != 'image' or info is None or 'rect' in subscription.topic_name:
            continue
        if any(info.d):
            return (
                f'{subscription.topic_name} is taken for rectified but its camera_info has '
                'distortion: set rectify, or take a rectified topic'
            )
    return ''


def published_auxiliary(view: View) -> set[str]:
    """Tasks whose auxiliary topics all have a publisher now."""
    topics: dict[str, list[str]] = {}
    for entry, subscription in view.subscriptions.items():
        if entry.kind == 'auxiliary':
            topics.setdefault(entry.task, []).append(subscription.topic_name)
    return {
        task for task, names in topics.items()
        if all(view.node.count_publishers(name) for name in names)
    }


def _arrives(view: View, entry: Input) -> bool:
    return view.statistics.seconds_since(entry.event) < SILENT_S


def _not_arriving(view: View, entry: Input, subscription: Subscription) -> str:
    name = subscription.topic_name
    publishers = view.node.get_publishers_info_by_topic(name)
    if not publishers:
        return f'no publisher on {name}{_suggestion(view.node, entry)}'
    same = [info for info in publishers if info.topic_type == entry.type]
    if not same:
        return _wrong_type(name, entry, publishers)
    reasons = [_mismatch(info.qos_profile, subscription.qos_profile) for info in same]
    if all(reasons):
        return f'QoS mismatch on {name}: {reasons[0]}'
    if entry.kind == 'camera_info' and entry.side in view.assembler.infos:
        return ''  # one is enough; it is kept
    if entry.kind == 'camera_info':
        return f'no camera_info: {name} has a publisher that has sent none'
    lost = image_delivery.complaint(get_rmw_implementation_identifier())
    return f'{name} has a publisher but no image arrives' + (f': {lost}' if lost else '')


def _wrong_type(name: str, entry: Input, publishers: Sequence[TopicEndpointInfo]) -> str:
    offered = publishers[0].topic_type
    hint = '; set transport to compressed' if offered == COMPRESSED else ''
    return f'{name} carries {offered}, not {entry.type}{hint}'


def _suggestion(node: Node, entry: Input) -> str:
    """Topics of the right type that somebody publishes: what to remap to."""
    others = sorted(
        name for name, types in node.get_topic_names_and_types()
        if entry.type in types and node.count_publishers(name)
        and not any(full_name(task, '') in name for task in TASKS)  # results, no camera
    )
    if not others:
        return ''
    return f'; {entry.type} is on {short_list(others)}: remap {entry.name}'


def _mismatch(offered: QoSProfile, wanted: QoSProfile) -> str:
    """Return how an offer falls short of what a subscription asks; '' if it does not."""
    compatibility, reason = qos_check_compatible(offered, wanted)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    policies = [
        f'it offers {getattr(offered, policy).name.lower()} {policy}, '
        f'this node asks for {getattr(wanted, policy).name.lower()}'
        for policy in ('reliability', 'durability')
        if getattr(offered, policy) != getattr(wanted, policy)
    ]
    return f'{"; ".join(policies) or reason} (parameters qos_overrides change that)'


def _arriving_but_no_frame(view: View) -> str:
    if view.statistics.seconds_since('late') < SILENT_S:
        return 'every frame is late: stamps are older than one that came before'
    pairer = view.assembler.pairer
    received = [
        entry for entry in view.subscriptions if entry.kind == 'image' and _arrives(view, entry)
    ]
    if len(received) == 2 and pairer.nearest_gap_ns is not None and any(pairer.unpaired):
        allowed = (
            'sync exact allows none' if view.tolerance_s is None
            else f'sync_tolerance_s allows {view.tolerance_s * 1e3:.3f} ms'
        )
        return (
            f'left and right never pair: their stamps differ by {pairer.nearest_gap_ns / 1e6:.3f} '
            f'ms at least, {allowed}'
        )
    if len(received) == 2:
        return 'left and right arrive but have not paired yet'
    return ''
