# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of a node: there while it is active, and gone when it is not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from perception_nodes.messages.topics import CAMERA_INFO, IMAGE, find_topic
from perception_nodes.ros.assembler import LEFT, RIGHT, Assembler, AuxiliaryInput
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.factory import message_class
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.types import PerceptionError

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
NEEDS_CAMERA = ('mono_depth', 'place_recognition')

# What helps a task, from other nodes; only where that task does not run in the same process.
AUXILIARY_INPUTS: dict[str, tuple[AuxiliaryInput, ...]] = {
    'segmentation': (
        AuxiliaryInput('optical_flow', ('flow', 'flow/stddev', 'flow/interval')),
    ),
    'visual_odometry': (
        AuxiliaryInput('stereo_depth', ('depth/image_rect', 'depth/stddev', 'depth/camera_info')),
        AuxiliaryInput('segmentation', ('mask',)),
    ),
    'place_recognition': (
        AuxiliaryInput('stereo_depth', ('depth/image_rect', 'depth/stddev', 'depth/camera_info')),
        AuxiliaryInput('visual_odometry', ('odometry',), by_time=True),
    ),
}


@dataclass(frozen=True)
class Input:
    """One topic that a node takes.

    Attributes
    ----------
    name : relative, to be remapped. type : full ROS type.
    kind : 'image', 'camera_info' or 'auxiliary'. side : 'left' (also of one camera) or 'right'.
    task : whose result an auxiliary input is.
    """

    name: str
    type: str
    kind: str
    side: str = LEFT
    task: str = ''

    @property
    def event(self) -> str:
        """Name under which arrivals are counted."""
        return f'received {self.name}'


def image_inputs(stereo: bool, needs_camera: bool, config: NodeConfig) -> tuple[Input, ...]:
    """Name the images and camera_infos of a node."""
    type_name = IMAGE if config.transport == 'raw' else COMPRESSED
    if not stereo:
        infos = (Input('camera_info', CAMERA_INFO, 'camera_info'),) if needs_camera else ()
        return (Input('image', type_name, 'image'), *infos)
    picture = 'image' if config.rectify else 'image_rect'
    return tuple(
        Input(f'{side}/{name}', kind_type, kind, side)
        for side in (LEFT, RIGHT)
        for name, kind_type, kind in (
            (picture, type_name, 'image'), ('camera_info', CAMERA_INFO, 'camera_info'),
        )
    )


def auxiliary_inputs(auxiliaries: tuple[AuxiliaryInput, ...]) -> tuple[Input, ...]:
    """Name the topics of the auxiliary inputs."""
    return tuple(
        Input(name, find_topic(auxiliary.task, name).type, 'auxiliary', task=auxiliary.task)
        for auxiliary in auxiliaries for name in auxiliary.topics
    )


class Inputs:
    """Subscriptions that hand their messages to an assembler.

    Best effort (SensorData), overridable by the parameters ``qos_overrides.<topic>...``.

    Attributes
    ----------
    subscriptions : by input, while open.
    """

    def __init__(
        self, node: Node, inputs: tuple[Input, ...], assembler: Assembler,
        statistics: Statistics, problems: Problems, queue_size: int,
    ) -> None:
        self._node, self._inputs = node, inputs
        self._assembler, self._statistics, self._problems = assembler, statistics, problems
        self._queue_size = queue_size
        self.subscriptions: dict[Input, Subscription] = {}

    def open(self) -> None:
        """Subscribe to everything."""
        for entry in self._inputs:
            self.subscriptions[entry] = self._node.create_subscription(
                message_class(entry.type), self._topic(entry), self._callback(entry),
                _qos(self._queue_size),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self.subscriptions.values():
            self._node.destroy_subscription(subscription)
        self.subscriptions.clear()

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


def needed_infos(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """Sides whose camera_info a frame waits for."""
    return tuple(entry.side for entry in inputs if entry.kind == 'camera_info')


def needs_pair(inputs: tuple[Input, ...]) -> bool:
    """Tell whether a frame is a pair."""
    return any(entry.side == RIGHT for entry in inputs)


def _qos(depth: int) -> QoSProfile:
    return QoSProfile(
        history=qos_profile_sensor_data.history, depth=depth,
        reliability=qos_profile_sensor_data.reliability,
        durability=qos_profile_sensor_data.durability,
    )
