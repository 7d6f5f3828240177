# SPDX-License-Identifier: Apache-2.0
"""The topics that a node takes: images, camera_infos, and auxiliary inputs of other nodes."""

from dataclasses import dataclass

from perception_nodes.messages.topics import CAMERA_INFO, IMAGE
from perception_nodes.pipelines.tasks import TASKS, AuxiliaryInput
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.input.raw_frame import LEFT, RIGHT

COMPRESSED = 'sensor_msgs/msg/CompressedImage'


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
    image = 'image' if config.rectify else 'image_rect'
    return tuple(
        Input(f'{side}/{name}', kind_type, kind, side)
        for side in (LEFT, RIGHT)
        for name, kind_type, kind in (
            (image, type_name, 'image'), ('camera_info', CAMERA_INFO, 'camera_info'),
        )
    )


def auxiliary_inputs(auxiliary: tuple[AuxiliaryInput, ...]) -> tuple[Input, ...]:
    """Name the topics of the auxiliary inputs."""
    return tuple(
        Input(name, TASKS[entry.task].topic(name).type, 'auxiliary', task=entry.task)
        for entry in auxiliary for name in entry.topics
    )


def needed_infos(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """Sides whose camera_info a frame waits for."""
    return tuple(entry.side for entry in inputs if entry.kind == 'camera_info')


def needs_pair(inputs: tuple[Input, ...]) -> bool:
    """Return whether a frame is a pair."""
    return any(entry.side == RIGHT for entry in inputs)
