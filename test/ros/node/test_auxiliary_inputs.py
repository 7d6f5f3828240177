# SPDX-License-Identifier: Apache-2.0
"""Nodes of different processes that help each other, and work that nobody wants."""


import numpy as np
import pytest
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from perception_nodes.geometry import se3
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.depth import depth_messages
from perception_nodes.messages.image import decode_array, encode_image
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.ros.input.assembler import RawFrame
from perception_nodes.ros.input.frames import FrameDecoder, decode_auxiliary
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.types import Depth
from perception_nodes.types import Odometry as Result


@pytest.fixture
def spied(bench):
    """A visual odometry node, and what its pipeline was given besides the images."""
    node = bench.add('visual_odometry', {'mount': 'parameter', 'auxiliary_wait_s': 5.0})
    bench.active(node)
    given = []
    loaded = node.configured.loaded
    pipeline = loaded.perception.pipelines['visual_odometry']

    class Spy:
        """Passes on and remembers."""

        config, runners = pipeline.config, ()

        def __call__(self, left, right, rig, depth=None, segmentation=None):
            given.append((left.stamp_ns, depth, segmentation))
            return pipeline(left, right, rig, depth, segmentation)

        def reset(self):
            """Pass on."""
            pipeline.reset()

    loaded.perception = type(loaded.perception)({'visual_odometry': Spy()})
    return node, given


def test_odometry_takes_depth_and_mask_of_its_stamp(bench, wall, spied):
    """They arrive after the images; the frame waits and gets the very arrays."""
    node, given = spied
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    masks = bench.publisher(Image, '/mask')
    names = ('depth/image_rect', 'depth/stddev', 'depth/camera_info')
    pair = wall(1)[0]
    rng = np.random.default_rng(3)
    depth_m = rng.uniform(1, 9, (192, 320)).astype(np.float32)
    depth_m[:5] = np.nan
    depth = Depth(pair.left.stamp_ns, 'left_optical', pair.rig.left, depth_m, depth_m / 10)
    messages = depth_messages(depth, bench.factory, names)
    publishers = {name: bench.publisher(type(messages[name]), f'/{name}') for name in names}
    bench.connect_cameras()
    for publisher in (masks, *publishers.values()):
        bench.until(lambda p=publisher: p.get_subscription_count() == 1)
    others = node.active.assembler.auxiliary_results
    bench.until(lambda: others.expected == {'stereo_depth', 'segmentation'})
    bench.send(pair)
    bench.until(lambda: len(node.active.assembler._waiting) == 1)
    labels = rng.integers(0, 11, (192, 320), np.uint8)
    masks.publish(
        encode_image(labels, 'mono8', bench.factory, pair.left.stamp_ns, 'left_optical')
    )
    for name, publisher in publishers.items():
        publisher.publish(messages[name])
    bench.until(lambda: len(poses) == 1)
    (stamp, got_depth, got_mask), = given
    assert stamp == pair.left.stamp_ns
    np.testing.assert_array_equal(got_depth.depth_m, depth_m)
    np.testing.assert_array_equal(got_depth.sigma_m, depth_m / 10)
    np.testing.assert_array_equal(got_mask.labels, labels)


def test_odometry_stands_alone_at_once(bench, wall, spied):
    """Nobody publishes depth or mask: no frame waits."""
    _, given = spied
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    bench.send(wall(1)[0])
    bench.until(lambda: len(poses) == 1, 3.0)
    assert given[0][1:] == (None, None)


def odometry_at(stamp_ns, x_m):
    """A pose on the x axis, turned by x radians about z."""
    pose = se3.exp(np.array([0.0, 0, 0, 0, 0, x_m]))
    pose[0, 3] = x_m
    return Result(stamp_ns, 'odom', 'base_link', pose, np.eye(6), np.zeros(6), np.eye(6))


def test_odometry_is_interpolated_to_the_image(bench):
    """Between two messages on the screw between them; alone only if it is near."""
    def given(stamp_ns, *around):
        raw = RawFrame(stamp_ns, None, auxiliary={'visual_odometry': [
            {'odometry': odometry_message(result, bench.factory)} for result in around
        ]})
        return decode_auxiliary(raw, lambda *_: None).get('visual_odometry')

    first, second = odometry_at(0, 0.0), odometry_at(100_000_000, 1.0)
    middle = given(25_000_000, first, second)
    assert se3.rotation_angle_rad(middle.odom_from_base) == pytest.approx(0.25)
    assert given(100_000_000, second).odom_from_base[0, 3] == 1.0
    assert given(150_000_000, second).odom_from_base[0, 3] == 1.0
    assert given(900_000_000, second) is None


def test_nobody_listens_nothing_runs(bench, wall, diagnosis):
    """A segmentation node without a listener answers no frame; with one it does."""
    node = bench.add('segmentation')
    bench.active(node)
    bench.connect_cameras(mono=True)
    first, second = wall(2)
    bench.send(first, mono=True)
    bench.until(lambda: node.statistics.counted('nobody listens') == 1)
    assert node.statistics.counted('out') == 0
    masks = bench.listen(Image, '/segmentation_node/mask')
    bench.until(lambda: node.configured._outputs.wanted('segmentation') == {'mask'})
    bench.send(second, mono=True)
    bench.until(lambda: len(masks) == 1)
    bench.until(lambda: node.statistics.counted('out') == 1)  # counted when all is published
    labels = decode_array(masks[0])
    assert labels.shape == (192, 320)
    pipeline = node.configured.loaded.perception.pipelines['segmentation']
    np.testing.assert_array_equal(labels, pipeline(second.left).labels)


def test_what_feeds_another_runs_whoever_listens(bench):
    """Odometry's answer must not depend on who listens to masks."""
    node = bench.add(PerceptionNode, {
        'tasks': ['segmentation', 'stereo_depth', 'visual_odometry'], 'mount': 'parameter',
    })
    bench.active(node)
    perception = node.configured.loaded.perception
    assert perception.needed_for(()) == {'segmentation', 'stereo_depth', 'visual_odometry'}
    dense = ('segmentation', 'stereo_depth')
    without = type(perception)({task: perception.pipelines[task] for task in dense})
    assert without.needed_for(()) == set()
    assert without.needed_for({'stereo_depth'}) == {'stereo_depth'}


def test_raw_images_are_rectified_here(bench, wall):
    """With rectify the pipeline gets the rectified image and an ideal camera."""
    from dataclasses import replace

    from perception_nodes.geometry.camera import rectification_maps, rectify_image
    from perception_nodes.messages.image import image_message

    pair = wall(1)[0]
    bent = replace(pair.rig.left, d=(-0.2, 0.05, 0.001, 0.0, 0.0))
    raw = RawFrame(
        pair.left.stamp_ns, image_message(pair.left, bench.factory),
        left_info=info_from_camera(bent, bench.factory, pair.left.stamp_ns),
    )
    frame = FrameDecoder(rectify=True)(raw)
    np.testing.assert_array_equal(
        frame.image.data, rectify_image(pair.left.data, rectification_maps(bent))
    )
    assert not frame.camera.distorted
    untouched = FrameDecoder(rectify=False)(raw)
    np.testing.assert_array_equal(untouched.image.data, pair.left.data)
    assert not untouched.camera.distorted
