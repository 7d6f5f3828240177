# SPDX-License-Identifier: Apache-2.0
"""All tasks in one node: one that fails costs its own results and nobody else's."""

from dataclasses import replace

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image

from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import encode_image
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.types import PerceptionError


class Stands:
    """Stands in for a pipeline, with another answer."""

    def __init__(self, pipeline, answer):
        self.config, self.runners, self._answer = pipeline.config, pipeline.runners, answer

    def __call__(self, *inputs, **auxiliary):
        return self._answer(*inputs)


@pytest.fixture
def node(bench):
    """Depth and odometry in one process; the matcher needs no model to fail."""
    made = bench.add(PerceptionNode, {
        'tasks': ['stereo_depth', 'visual_odometry'], 'mount': 'parameter',
    })
    bench.active(made)
    return made


def test_others_are_published_and_the_failing_one_is_named(
    bench, wall, diagnosis, node, monkeypatch
):
    """Depth refuses a frame, then its message cannot be made, then all is well."""
    depths = bench.listen(Image, '/stereo_depth_node/depth/image_rect')
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    bench.until(lambda: all(
        node.count_subscribers(f'/{topic}') for topic in
        ('stereo_depth_node/depth/image_rect', 'visual_odometry_node/odometry')
    ))
    pairs = wall(3)
    loaded = node.configured.loaded
    whole = loaded.perception

    def refuses(*_):
        raise PerceptionError('the matcher is out of breath')

    refusing = Stands(whole.pipelines['stereo_depth'], refuses)
    loaded.perception = Perception({**whole.pipelines, 'stereo_depth': refusing})
    bench.send(pairs[0])
    bench.until(lambda: len(poses) == 1)
    assert diagnosis(node)[:2] == (2, 'stereo_depth: the matcher is out of breath')

    loaded.perception = whole
    task = TASKS['stereo_depth']
    broken = replace(task.implementation, encode=lambda *_: 1 // 0)
    with monkeypatch.context() as patch:
        patch.setitem(TASKS, task.name, replace(task, load=lambda: broken))
        bench.send(pairs[1])
        bench.until(lambda: len(poses) == 2)
        bench.until(lambda: node.statistics.counted('bad') == 2)
    level, message, values = diagnosis(node)
    assert level == 2 and message.startswith('stereo_depth: ZeroDivisionError')
    assert not depths and values['frames_out'] == '2'

    bench.send(pairs[2])
    bench.until(lambda: len(depths) == 1 and len(poses) == 3)
    assert depths[0].header.stamp == poses[2].header.stamp


def test_a_frame_on_which_every_task_fails_is_not_counted_as_answered(bench, wall, node):
    """Nothing went out, so the rate of answers must not say so."""
    bench.connect_cameras()

    def refuses(*_):
        raise PerceptionError('no')

    perception = node.configured.loaded.perception
    node.configured.loaded.perception = Perception({
        task: Stands(pipeline, refuses) for task, pipeline in perception.pipelines.items()
    })
    bench.send(wall(1)[0])
    bench.until(lambda: node.statistics.counted('bad') == 2)
    assert node.statistics.counted('out') == 0


def test_a_bad_message_of_another_node_does_not_cost_the_frame(bench, wall, diagnosis):
    """Odometry goes on without a depth that cannot be read, and says whose it was."""
    node = bench.add('visual_odometry', {'mount': 'parameter', 'auxiliary_wait_s': 5.0})
    bench.active(node)
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    kinds = {'depth/image_rect': Image, 'depth/stddev': Image, 'depth/camera_info': CameraInfo}
    publishers = {name: bench.publisher(kind, f'/{name}') for name, kind in kinds.items()}
    bench.connect_cameras()
    bench.until(lambda: 'stereo_depth' in node.active.assembler.auxiliary_results.expected)
    pair = wall(1)[0]
    bench.send(pair)
    bench.until(lambda: len(node.active.assembler._waiting) == 1)
    for name, kind in kinds.items():
        message = kind()
        if kind is CameraInfo:
            message = info_from_camera(pair.rig.left, bench.factory, pair.left.stamp_ns)
        message.header.stamp = bench.factory.time(pair.left.stamp_ns)
        publishers[name].publish(message)
    bench.until(lambda: len(poses) == 1)
    level, message, _ = diagnosis(node)
    assert level == 2 and message.startswith('stereo_depth: ')


def test_auxiliary_images_that_do_not_fit_are_refused(bench, wall, diagnosis):
    """A mask in colour and a stddev of another size: odometry goes on without both."""
    node = bench.add('visual_odometry', {'mount': 'parameter', 'auxiliary_wait_s': 5.0})
    bench.active(node)
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    pair = wall(1)[0]
    stamp = pair.left.stamp_ns
    metres = np.ones((192, 320), np.float32)
    messages = {
        'mask': encode_image(
            np.zeros((192, 320, 3), np.uint8), 'rgb8', bench.factory, stamp, 'left_optical'
        ),
        'depth/image_rect': encode_image(metres, '32FC1', bench.factory, stamp, 'left_optical'),
        'depth/stddev': encode_image(
            metres[::2, ::2], '32FC1', bench.factory, stamp, 'left_optical'
        ),
        'depth/camera_info': info_from_camera(pair.rig.left, bench.factory, stamp),
    }
    publishers = {name: bench.publisher(type(m), f'/{name}') for name, m in messages.items()}
    bench.connect_cameras()
    expected = node.active.assembler.auxiliary_results
    bench.until(lambda: expected.expected == {'stereo_depth', 'segmentation'})
    bench.send(pair)
    bench.until(lambda: len(node.active.assembler._waiting) == 1)
    for name, message in messages.items():
        publishers[name].publish(message)
    bench.until(lambda: len(poses) == 1)
    level, message, _ = diagnosis(node)
    assert level == 2
    assert "segmentation: mask is mono8 or 8UC1, not 'rgb8'" in message
    assert 'stereo_depth: depth/stddev is 160x96 but what it describes is 320x192' in message
