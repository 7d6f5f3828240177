# SPDX-License-Identifier: Apache-2.0
"""Which camera_info a live node takes, seen in the numbers that it publishes."""

from dataclasses import replace

import pytest
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage

from perception_nodes.inference.models import list_models
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
STEP_M = -0.05


@pytest.fixture
def odometry(bench):
    """Start odometry; gives (node, what it publishes)."""
    def start(**parameters):
        node = bench.add('visual_odometry', {'mount': 'parameter', **parameters})
        bench.active(node)
        return node, bench.listen(Odometry, '/visual_odometry_node/odometry')

    return start


def send_images(bench, pair):
    """Publish a pair without its calibration."""
    for name, image in (('left/image_rect', pair.left), ('right/image_rect', pair.right)):
        bench.publisher(ImageMessage, name).publish(image_message(image, bench.factory))


def test_latched_calibration_is_taken(bench, odometry, diagnosis, wall):
    """Published once, transient local, before the node starts; images go on for minutes."""
    pairs = wall(3)
    for side, camera in (('left', pairs[0].rig.left), ('right', pairs[0].rig.right)):
        publisher = bench.publisher(CameraInfo, f'{side}/camera_info', LATCHED)
        publisher.publish(info_from_camera(camera, bench.factory, 1_000_000_000))
    node, received = odometry()
    bench.connect_cameras()
    bench.until(lambda: set(node.active.assembler.infos) == {'left', 'right'})
    for number, pair in enumerate(pairs, 1):
        send_images(bench, pair)
        bench.until(lambda n=number: len(received) == n)
    assert received[2].pose.pose.position.y == pytest.approx(2 * STEP_M, abs=0.01)
    assert diagnosis(node)[:2] == (0, 'running')


def test_calibration_of_another_frame_is_refused(bench, odometry, diagnosis, wall):
    """Two cameras whose topics were mixed up: a diagnostic instead of wrong metres."""
    node, received = odometry()
    bench.connect_cameras()
    pair, = wall(1)
    rear = replace(pair.rig.right, frame_id='rear_optical')
    bench.send(replace(pair, rig=replace(pair.rig, right=rear)))
    bench.until(lambda: node.statistics.counted('bad') == 1)
    level, message, _ = diagnosis(node)
    told = "right image is of frame 'right_optical' but its camera_info is of 'rear_optical'"
    assert level == 2 and told in message and received == []


def test_calibration_of_long_ago_is_refused(bench, odometry, diagnosis, wall):
    """The camera has zoomed since; how old it may be is a parameter."""
    pairs = wall(2)
    late = [replace(image, stamp_ns=image.stamp_ns + 100_000_000_000)
            for image in (pairs[1].left, pairs[1].right)]
    node, received = odometry()
    bench.connect_cameras()
    bench.send(pairs[0])
    bench.until(lambda: len(received) == 1)
    send_images(bench, replace(pairs[1], left=late[0], right=late[1]))
    bench.until(lambda: node.statistics.counted('bad') == 1)
    told = 'image has no camera_info of its own and the newest is 100.1 s older'
    assert told in diagnosis(node)[1] and len(received) == 1


def test_zoom_is_never_a_frame_late(bench, wall):
    """The focal length changes each frame; its camera_info comes after the image."""
    if 'mono_depth' not in list_models():
        pytest.skip('model mono_depth is missing')
    node = bench.add('mono_depth')
    bench.active(node)
    received = bench.listen(CameraInfo, '/mono_depth_node/depth/camera_info')
    bench.connect_cameras(mono=True)
    focal_px = {}
    for number, pair in enumerate(wall(5)):
        camera = pair.rig.left
        if number % 2:
            camera = replace(camera, k=camera.k * [[2.0], [2.0], [1.0]],
                             p=camera.p * [[2.0], [2.0], [1.0]])
        focal_px[pair.left.stamp_ns % 1_000_000_000] = camera.p[0, 0]
        bench.publisher(ImageMessage, 'image').publish(image_message(pair.left, bench.factory))
        bench.publisher(CameraInfo, 'camera_info').publish(
            info_from_camera(camera, bench.factory, pair.left.stamp_ns)
        )
        bench.until(lambda n=number: len(received) == n + 1)
    assert {m.header.stamp.nanosec: m.p[0] for m in received} == pytest.approx(focal_px)
