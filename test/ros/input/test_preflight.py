# SPDX-License-Identifier: Apache-2.0
"""A silent node says exactly why, on /diagnostics."""

from dataclasses import replace

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from perception_nodes.messages.camera import info_from_camera
from perception_nodes.ros.input import preflight

VO = {'mount': 'parameter'}


@pytest.fixture
def odometry_node(bench):
    """An active visual odometry node."""
    def start(parameters=None, remappings=None):
        node = bench.add('visual_odometry', {**VO, **(parameters or {})}, remappings)
        bench.active(node)
        return node

    return start


def until_told(bench, diagnosis, node, text):
    """Wait until the diagnostics say a text (the graph takes a moment to be known)."""
    told = []

    def says() -> bool:
        told.append(diagnosis(node))
        return text in told[-1][1]

    try:
        bench.until(says, 6.0)
    except pytest.fail.Exception:
        pytest.fail(f'{text!r} was not told but {told[-1][1]!r}')
    assert told[-1][0] == 2
    return told[-1]


def test_no_publisher_and_where_images_are(bench, diagnosis, odometry_node):
    """The topic that nobody publishes, and topics of that type to remap to."""
    bench.publisher(Image, '/other/image_rect')
    node = odometry_node()
    until_told(
        bench, diagnosis, node,
        'no publisher on /left/image_rect; sensor_msgs/msg/Image is on /other/image_rect: '
        'remap left/image_rect',
    )


def test_qos_mismatch(bench, diagnosis, odometry_node):
    """A best-effort camera and a node that was told to ask for reliable."""
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    bench.publisher(Image, '/left/image_rect', best_effort)
    node = odometry_node({'qos_overrides./left/image_rect.subscription.reliability': 'reliable'})
    until_told(
        bench, diagnosis, node,
        'QoS mismatch on /left/image_rect: it offers best_effort reliability, this node asks for '
        'reliable',
    )


def test_durability_mismatch(bench, diagnosis, odometry_node, monkeypatch):
    """The other policy that keeps messages away."""
    monkeypatch.setattr(
        'perception_nodes.ros.input.subscriptions._qos',
        lambda depth: QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    bench.publisher(Image, '/left/image_rect')
    node = odometry_node()
    until_told(bench, diagnosis, node, 'it offers volatile durability')


def test_wrong_type(bench, diagnosis, odometry_node):
    """Compressed images where raw ones are expected, and what to set."""
    bench.publisher(CompressedImage, '/left/image_rect')
    node = odometry_node()
    until_told(
        bench, diagnosis, node,
        '/left/image_rect carries sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image; '
        'set transport to compressed',
    )


def test_publisher_that_sends_nothing(bench, diagnosis, odometry_node):
    """There is a publisher but no image arrives."""
    node = odometry_node()
    bench.connect_cameras()
    until_told(bench, diagnosis, node, '/left/image_rect has a publisher but no image arrives')


def test_no_camera_info(bench, diagnosis, odometry_node, wall, monkeypatch):
    """Images come, their calibration does not."""
    monkeypatch.setattr(preflight, 'SILENT_S', 0.5)
    node = odometry_node()
    bench.connect_cameras()
    bench.send_info = lambda pair, mono=False: None
    pair = wall(1)[0]

    def keep_sending(actual=diagnosis):
        bench.send(pair)
        return actual(node)

    until_told(
        bench, lambda _: keep_sending(), node,
        'no camera_info: /left/camera_info has a publisher that has sent none',
    )


def test_stamps_never_pair(bench, diagnosis, odometry_node, wall, monkeypatch):
    """Left and right 7 ms apart, tolerance 5 ms: the gap is told in milliseconds."""
    monkeypatch.setattr(preflight, 'SILENT_S', 1.5)
    node = odometry_node()
    bench.connect_cameras()
    pairs = wall(70)

    def keep_sending(_):
        pair = pairs.pop(0)
        late = replace(pair.right, stamp_ns=pair.right.stamp_ns + 7_000_000)
        bench.send(replace(pair, right=late))
        return diagnosis(node)

    until_told(
        bench, keep_sending, node,
        'left and right never pair: their stamps differ by 7.000 ms at least, sync_tolerance_s '
        'allows 5.000 ms',
    )


def test_uncalibrated_camera(bench, diagnosis, odometry_node, wall):
    """K[0] = 0: told, counted, and the next good calibration is taken."""
    node = odometry_node()
    received = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    pair = wall(1)[0]
    bad = info_from_camera(pair.rig.left, bench.factory, pair.left.stamp_ns)
    bad.k = np.zeros(9)
    right = info_from_camera(pair.rig.right, bench.factory, pair.left.stamp_ns)
    good = bench.send_info
    bench.send_info = lambda pair, mono=False: (
        bench.publisher(CameraInfo, 'left/camera_info').publish(bad),
        bench.publisher(CameraInfo, 'right/camera_info').publish(right),
    )
    bench.send(pair)
    _, _, values = until_told(bench, diagnosis, node, 'uncalibrated camera: K[0]')
    assert values['bad_messages'] == '1' and received == []
    bench.send_info = good
    bench.send_info(pair)
    bench.until(lambda: node.active.assembler.infos['left'].k[0] > 0)
    bench.send(pair)
    bench.until(lambda: len(received) == 1)


def test_raw_images_taken_for_rectified(bench, diagnosis, odometry_node, wall):
    """Distortion in camera_info of a topic that is not called rectified: a warning."""
    node = odometry_node(remappings={'left/image_rect': '/left/image_raw'})
    pair = wall(1)[0]
    bent = replace(pair.rig.left, d=(-0.3, 0.1, 0.0, 0.0, 0.0))
    infos = bench.publisher(CameraInfo, '/left/camera_info')
    bench.until(lambda: infos.get_subscription_count() == 1)

    def told():
        infos.publish(info_from_camera(bent, bench.factory, pair.left.stamp_ns))
        return diagnosis(node)[1]

    bench.until(lambda: '/left/image_raw is taken for rectified' in told())


def test_profile_is_missed(bench, diagnosis, odometry_node, monkeypatch):
    """Without the Fast DDS profile the diagnostics warn."""
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    node = odometry_node()
    bench.until(lambda: 'no Fast DDS profile: images between processes' in diagnosis(node)[1])
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/no/such/file.xml')
    bench.until(lambda: '/no/such/file.xml cannot be read' in diagnosis(node)[1])
