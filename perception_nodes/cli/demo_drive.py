# SPDX-License-Identifier: Apache-2.0
"""What the demo does: render a drive, keep all nodes alive, play to them, record them."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from perception_nodes.bags.cameras import StereoTopics, find_cameras
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.geometry.se3 import to_quaternion_xyzw
from perception_nodes.messages.topics import node_name
from perception_nodes.pipelines.tasks import TASKS, Task
from perception_nodes.types import PerceptionError

START_S = 60.0
# The slowest node's answer to the last frame is waited for, on a busy machine too.
QUIET_S = 2.0
Progress = Callable[[int, int], None]


def require_ros() -> None:
    """Refuse kindly where there is no rclpy, and keep to this machine where nobody chose.

    Raises
    ------
    PerceptionError
        If rclpy does not import.
    """
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise PerceptionError(
            f'the demo needs ROS 2 ({error}): source a ROS 2 installation, or '
            "pip install 'perception_nodes[ros]'"
        ) from None
    from perception_nodes.ros import image_delivery

    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randrange(1, 100)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name, value in image_delivery.environment().items():
        os.environ.setdefault(name, value)


def rendered_drive(path: Path, frames: int, seed: int, progress: Progress) -> Path:
    """Render a sequence into a rosbag2 with its ground truth."""
    from perception_nodes.bags.rendered import write_rendered_bag

    write_rendered_bag(path, seed, frames, progress=progress)
    return path


@contextmanager
def live_nodes(bag: Path, logs: Path) -> Iterator[StereoTopics]:
    """Run the node of every task as a process on the stereo camera of a bag.

    Raises
    ------
    PerceptionError
        If the bag has no stereo pair.
    """
    from perception_nodes.ros.processes import NodeProcess

    with open_bag(bag) as reader:
        cameras = find_cameras(reader)
        if not isinstance(cameras, StereoTopics):
            raise PerceptionError(f'{bag} has no stereo pair; the demo shows all nodes')
        mount = _mount(reader, cameras)
    logs.mkdir()
    with ExitStack() as stack:
        for task in _shown():
            stack.enter_context(NodeProcess(
                task.node, parameters=_parameters(task, mount),
                remappings=_remappings(task, cameras), log=logs / f'{task.name}.log',
            ))
        try:
            yield cameras
        except PerceptionError as error:
            raise PerceptionError(_first_complaint(logs) or str(error)) from None


def _first_complaint(logs: Path) -> str:
    """The first error that a node logged; '' if none did."""
    for log in sorted(logs.glob('*.log')):
        for line in log.read_text(errors='replace').splitlines():
            if '[ERROR]' in line or 'Error:' in line:
                return f'{node_name(log.stem)} cannot work: {line.rpartition("]: ")[2]}'
    return ''


def play_and_record(
    bag: Path, outputs: Path, cameras: StereoTopics, rate: float, progress: Progress
) -> None:
    """Play the cameras of a bag once everybody listens; record the nodes' topics meanwhile."""
    from perception_nodes.ros.tools.player import play
    from perception_nodes.ros.tools.recorder import Recorder, node_topics

    topics = (
        cameras.left.image, cameras.left.info, cameras.right.image,
        cameras.right.info,
    )
    tasks = _shown()
    listeners = {topic: sum(task.stereo for task in tasks) for topic in topics[2:]}
    listeners[cameras.left.image] = len(tasks)
    with Recorder(outputs, node_topics([task.name for task in tasks])) as recorder:
        recorder.wait_for_publishers(START_S)
        play(
            bag, rate=rate, topics=topics, subscribers=listeners, wait_s=START_S,
            progress=progress,
        )
        recorder.settle(QUIET_S)


def _shown() -> list[Task]:
    """Tasks that have a node of their own."""
    return [task for task in TASKS.values() if task.cameras]


def _mount(reader: Any, cameras: StereoTopics) -> list[float] | None:
    """Pose of the left camera, x y z qx qy qz qw in base_link; None if not in the bag."""
    frame = reader.first(cameras.left.image).message.header.frame_id
    base_from_camera = base_from_frame(reader, frame)
    if base_from_camera is None:
        return None
    return [
        *base_from_camera[:3, 3].tolist(), *to_quaternion_xyzw(base_from_camera).tolist()
    ]


def _parameters(task: Task, mount: list[float] | None) -> dict[str, Any]:
    """One thread a node, since all share the machine; masks with their epistemic part."""
    parameters: dict[str, Any] = {'threads': 1}
    if task.name == 'segmentation':
        parameters['mc_samples'] = 4
    if task.mounted:
        parameters['mount'] = 'parameter'
        if mount is not None:
            parameters['base_from_camera'] = mount
    return parameters


def _remappings(task: Task, cameras: StereoTopics) -> dict[str, str]:
    """Wire a node to the cameras and to the results that it takes."""
    left, right = cameras.left, cameras.right
    wires = {'image': left.image, 'camera_info': left.info}
    if task.stereo:
        wires = {
            'left/image_rect': left.image, 'left/camera_info': left.info,
            'right/image_rect': right.image, 'right/camera_info': right.info,
        }
    return {**wires, **task.auxiliary_remappings('/')}
