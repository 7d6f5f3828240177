# SPDX-License-Identifier: Apache-2.0
"""Nodes in this process, spoken to over real DDS from another participant."""

import contextlib
import fcntl
import importlib.util
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import pytest

from perception_nodes.ros.image_delivery import environment
from perception_nodes.types import Camera, Image, StereoRig

_LOCKS: list[IO[str]] = []


def _own_domain() -> int:
    """Choose a DDS domain that no other test run on this machine has; a lock file holds it."""
    for number in range(100):
        domain = 1 + (os.getpid() + number) % 100
        path = Path(tempfile.gettempdir()) / f'perception_nodes_test_domain_{domain}.lock'
        with contextlib.suppress(OSError):  # another user's, or taken
            lock = path.open('w')
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _LOCKS.append(lock)
            return domain
    return 1 + os.getpid() % 100


# Before rclpy is imported: a domain of our own, wrong field types are errors, images are not lost.
os.environ['ROS_DOMAIN_ID'] = str(_own_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ.update(environment())

if importlib.util.find_spec('rclpy') is None:
    collect_ignore_glob = ['test_[!0]*.py', '*/test_*.py']  # test_0_ros.py skips and says why

WIDTH, HEIGHT, FOCAL_PX, BASELINE_M = 320, 192, 200.0, 0.2
DISPARITY_PX, STEP_PX = 16, 4
START_NS, PERIOD_NS = 1_700_000_000_000_000_000, 100_000_000


@dataclass(frozen=True)
class Pair:
    """Two images of a wall 2.5 m away; the camera moves 5 cm to the right each time."""

    left: Image
    right: Image
    rig: StereoRig


def wall_pairs(count: int, stamps_ns: list[int] | None = None) -> list[Pair]:
    """Make images of a wall by cutting them out of one texture: every pixel's motion is known.

    The disparity is DISPARITY_PX everywhere, and the image moves STEP_PX to the left each time.
    """
    rng = np.random.default_rng(7)
    wide = WIDTH + DISPARITY_PX + STEP_PX * count
    texture = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, wide, 3), np.uint8), (0, 0), 1.5)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    left = Camera.pinhole(
        WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, WIDTH / 2, HEIGHT / 2, frame_id='left_optical'
    )
    right = Camera.pinhole(
        WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, WIDTH / 2, HEIGHT / 2, baseline_m=BASELINE_M,
        frame_id='right_optical',
    )
    pairs = []
    for index in range(count):
        stamp = START_NS + index * PERIOD_NS if stamps_ns is None else stamps_ns[index]
        x = index * STEP_PX
        pairs.append(Pair(
            Image(np.ascontiguousarray(texture[:, x:x + WIDTH]), stamp, 'left_optical'),
            Image(np.ascontiguousarray(texture[:, x + DISPARITY_PX:x + DISPARITY_PX + WIDTH]),
                  stamp, 'right_optical'),
            StereoRig(left, right),
        ))
    return pairs


@pytest.fixture
def wall() -> Callable[..., list[Pair]]:
    """See wall_pairs."""
    return wall_pairs


class Bench:
    """Nodes under test in one context and thread, the test's own node in another."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor

        from perception_nodes.ros.factory import RclpyFactory

        self.factory = RclpyFactory()
        self.contexts = [Context(), Context()]
        for context in self.contexts:
            rclpy.init(args=[], context=context)
        self.executors = [SingleThreadedExecutor(context=context) for context in self.contexts]
        self.driver = rclpy.create_node(
            'driver', context=self.contexts[1], start_parameter_services=False
        )
        self.executors[1].add_node(self.driver)
        self.nodes: list[Any] = []
        self._closing = False
        self.threads = [
            threading.Thread(target=self._spin, args=(executor,), daemon=True)
            for executor in self.executors
        ]
        for thread in self.threads:
            thread.start()
        self._publishers: dict[str, Any] = {}
        self._listening: list[Any] = []
        self._clients: dict[str, Any] = {}

    def add(self, make: Any, parameters: dict[str, Any] | None = None,
            remappings: dict[str, str] | None = None, arguments: list[str] | None = None) -> Any:
        """Start the node of a task, or a node class, with parameters and remappings."""
        from rclpy.parameter import Parameter

        from perception_nodes.ros.nodes.task_node import TaskNode

        command = ['--ros-args', *(arguments or [])]
        for source, target in (remappings or {}).items():
            command += ['-r', f'{source}:={target}']
        node = (partial(TaskNode, make) if isinstance(make, str) else make)(
            context=self.contexts[0], cli_args=command,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in (parameters or {}).items()
            ],
        )
        self.nodes.append(node)
        self.executors[0].add_node(node)
        return node

    def active(self, node: Any) -> None:
        """Wait until a node is active."""
        self.until(lambda: node.stage == 'active' or bool(node.failure))
        assert node.stage == 'active', node.failure

    def listen(self, kind: type, topic: str, *, latched: bool = False, qos: Any = None) -> list:
        """Subscribe; the list fills as messages come."""
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        received: list[Any] = []
        qos = qos or QoSProfile(
            depth=50, reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        self._listening.append(
            self.driver.create_subscription(kind, topic, received.append, qos)
        )
        return received

    def publisher(self, kind: type, topic: str, qos: Any = 10) -> Any:
        """Publisher of the driver, made once."""
        if topic not in self._publishers:
            self._publishers[topic] = self.driver.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def connect_cameras(self, mono: bool = False) -> None:
        """Make the camera publishers and wait until somebody takes their images."""
        from sensor_msgs.msg import CameraInfo
        from sensor_msgs.msg import Image as ImageMessage

        names = ['image'] if mono else ['left/image_rect', 'right/image_rect']
        infos = ['camera_info'] if mono else ['left/camera_info', 'right/camera_info']
        for name in names:
            self.publisher(ImageMessage, name)
        for name in infos:
            self.publisher(CameraInfo, name)
        taken = {s.topic_name for node in self.nodes for s in node.subscriptions}
        used = [self._publishers[n] for n in (*names, *infos)]
        used = [publisher for publisher in used if publisher.topic_name in taken]
        self.until(lambda: used and all(p.get_subscription_count() for p in used))
        # The other direction is matched a little later, and until then images are lost; so are
        # the first results while nobody is matched to them.
        self.until(lambda: self._all_fed() and self._all_heard())

    def _all_fed(self) -> bool:
        """Tell whether every subscription to a camera topic knows its publisher."""
        topics = {publisher.topic_name for publisher in self._publishers.values()}
        return all(
            subscription.get_publisher_count()
            for node in self.nodes for subscription in node.subscriptions
            if subscription.topic_name in topics
        )

    def _all_heard(self) -> bool:
        """Tell whether all that the driver listens to has found it, in both directions."""
        topics = {subscription.topic_name: subscription for subscription in self._listening}
        return all(
            publisher.get_subscription_count()
            and topics[publisher.topic_name].get_publisher_count()
            for node in self.nodes for publisher in node.publishers
            if publisher.topic_name in topics
        )

    def send_info(self, pair: Pair, mono: bool = False) -> None:
        """Publish the calibration."""
        from perception_nodes.messages.camera import info_from_camera

        sides = [('camera_info', pair.rig.left)] if mono else [
            ('left/camera_info', pair.rig.left), ('right/camera_info', pair.rig.right)
        ]
        for name, camera in sides:
            self._publishers[name].publish(
                info_from_camera(camera, self.factory, pair.left.stamp_ns)
            )

    def send(self, pair: Pair, mono: bool = False) -> None:
        """Publish a pair (or the left image alone) and its calibration."""
        from perception_nodes.messages.image import image_message

        self.send_info(pair, mono)
        sides = [('image', pair.left)] if mono else [
            ('left/image_rect', pair.left), ('right/image_rect', pair.right)
        ]
        for name, image in sides:
            self._publishers[name].publish(image_message(image, self.factory))

    def until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Wait for something; fail if it does not come."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f'did not happen within {timeout_s:g} s')
            time.sleep(0.01)

    def call(self, kind: type, service: str, request: Any = None) -> Any:
        """Call a service and give its response."""
        if service not in self._clients:
            # Made once: an answer is lost while its way back is not matched yet.
            self._clients[service] = self.driver.create_client(kind, service)
            assert self._clients[service].wait_for_service(10.0), service
            self.until(lambda: all(node.count_clients(service) for node in self.nodes))
            time.sleep(0.3)
        client = self._clients[service]
        future = client.call_async(request or kind.Request())
        self.until(future.done)
        return future.result()

    def close(self) -> None:
        """End everything."""
        self._closing = True
        for executor in self.executors:
            executor.shutdown()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        for node in self.nodes:
            node.destroy_node()
        self.driver.destroy_node()
        for context in self.contexts:
            context.try_shutdown()

    def _spin(self, executor: Any) -> None:
        from rclpy.executors import ExternalShutdownException, InvalidHandle

        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except InvalidHandle:  # shut down in the middle of a callback
            if not self._closing:
                raise


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """See Bench; diagnostics come ten times a second; afterwards no thread may be left over."""
    monkeypatch.setattr('perception_nodes.ros.node.lifecycle_node.DIAGNOSTICS_S', 0.1)
    # A container may have little; that is test_image_delivery's business.
    monkeypatch.setattr('perception_nodes.ros.image_delivery.little_shared_memory', lambda: '')
    before = set(threading.enumerate())
    made = Bench()
    yield made
    made.close()
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not left, f'threads are left over: {left}'


@pytest.fixture
def diagnosis(bench: Bench) -> Callable[[Any], tuple[int, str, dict[str, str]]]:
    """Give level, message and values of a node's diagnostics as they are now, over DDS."""
    from diagnostic_msgs.msg import DiagnosticArray

    received = bench.listen(DiagnosticArray, '/diagnostics')

    def look(node: Any) -> tuple[int, str, dict[str, str]]:
        # Any that was made before this moment is not counted.
        bench.until(lambda: bench.driver.count_publishers('/diagnostics') > 0)
        seen = len(received)
        bench.until(lambda: any(
            status.name == node.get_name() for m in received[seen:] for status in m.status
        ))
        status = next(s for m in reversed(received) for s in m.status if s.name == node.get_name())
        level = status.level if isinstance(status.level, int) else status.level[0]
        return level, status.message, {v.key: v.value for v in status.values}

    return look
