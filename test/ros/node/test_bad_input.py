# SPDX-License-Identifier: Apache-2.0
"""Messages that are wrong are counted and told; the node lives and answers the next good one."""

from dataclasses import replace

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from perception_nodes.messages.image import image_message
from perception_nodes.types import Image as CameraImage


def short_data(message):
    """Data that ends before its height."""
    message.data = message.data[:-1]


def small_step(message):
    """Rows that would overlap."""
    message.step = message.width


def unknown_encoding(message):
    """A name that nobody knows."""
    message.encoding = 'rgb13'


def empty(message):
    """No pixel."""
    message.width = message.height = message.step = 0
    message.data = message.data[:0]


def other_size(message):
    """A left image of another size than the right one and camera_info."""
    small = CameraImage(np.zeros((96, 160, 3), np.uint8))
    other = image_message(small, FACTORY[0])
    for field in ('height', 'width', 'step', 'data'):
        setattr(message, field, getattr(other, field))


def broken_stamp(message):
    """Two seconds of nanoseconds."""
    message.header.stamp.nanosec = 2_000_000_000


def negative_stamp(message):
    """Before 1970."""
    message.header.stamp.sec = -5


FACTORY = []
FAULTS = {
    short_data: 'image data is 184319 bytes but step 960 x height 192 = 184320',
    small_step: 'image step 320 is too small',
    unknown_encoding: 'rgb13',
    empty: 'empty image: 0x0',
    other_size: 'left image is 160x96 but its camera_info says 320x192',
    broken_stamp: 'nanosec 2000000000',
    negative_stamp: 'left/image_rect: invalid stamp: sec -5',
}


def test_every_fault_is_told_and_survived(bench, diagnosis, wall):
    """Each fault once, between good pairs, to one node."""
    FACTORY[:] = [bench.factory]
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    received = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    pairs = wall(2 * len(FAULTS) + 1)
    bench.send(pairs[0])
    bench.until(lambda: len(received) == 1)
    for number, (fault, told) in enumerate(FAULTS.items(), 1):
        bad, good = pairs[2 * number - 1], pairs[2 * number]
        message = image_message(bad.left, bench.factory)
        fault(message)
        bench.publisher(Image, 'left/image_rect').publish(message)
        bench.publisher(Image, 'right/image_rect').publish(
            image_message(bad.right, bench.factory)
        )
        bench.until(lambda n=number: node.statistics.counted('bad') == n)
        assert any(told in problem.message for problem in node.problems.all()), (
            told, [problem.message for problem in node.problems.all()]
        )
        bench.send(good)
        bench.until(lambda n=number: len(received) == n + 1)
    level, message, values = diagnosis(node)
    assert level == 2 and values['bad_messages'] == str(len(FAULTS))
    assert all(f'problem {number}' in values for number in range(len(FAULTS)))


def test_size_may_change(bench, wall):
    """Another size with its own calibration is simply another camera."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    received = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    first, second = wall(2)
    bench.send(first)
    bench.until(lambda: len(received) == 1)
    rig = type(second.rig)(
        second.rig.left.resized(160, 96), second.rig.right.resized(160, 96)
    )
    cut = replace(
        second, rig=rig,
        left=replace(second.left, data=np.ascontiguousarray(second.left.data[::2, ::2])),
        right=replace(second.right, data=np.ascontiguousarray(second.right.data[::2, ::2])),
    )
    # Topics have no order among each other: the first may still meet an old calibration.
    bench.send(cut)
    bench.until(lambda: len(received) == 2 or node.statistics.counted('bad'))
    received[1:] = []
    bench.send(cut)
    bench.until(lambda: len(received) == 2)
    assert received[1].header.stamp == Time(sec=1_700_000_000, nanosec=100_000_000)


def test_a_worker_that_meets_a_bug_lives_on(bench, diagnosis, wall):
    """An exception that nobody foresaw is in the diagnostics; the next frame is answered."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    received = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    first, second = wall(2)
    pipeline = node.configured.loaded.perception.pipelines['visual_odometry']
    advance = pipeline._advance
    pipeline._advance = lambda *_: 1 // 0
    bench.send(first)
    bench.until(lambda: node.statistics.counted('bad') == 1)
    level, message, _ = diagnosis(node)
    assert level == 2 and 'ZeroDivisionError' in message
    pipeline._advance = advance
    bench.send(second)
    bench.until(lambda: len(received) == 1)
