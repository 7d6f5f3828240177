# SPDX-License-Identifier: Apache-2.0
"""Frames out of single messages, without ROS."""

import time
from types import SimpleNamespace

import pytest

from perception_nodes.ros.input.assembler import LEFT, RIGHT, Assembler, AuxiliaryInput
from perception_nodes.types import PerceptionError

MS = 1_000_000


def message(milliseconds, name=''):
    """Anything with a header."""
    stamp = SimpleNamespace(sec=100 + milliseconds // 1000, nanosec=milliseconds % 1000 * MS)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), name=name)


class Made:
    """An assembler and what came out of it."""

    def __init__(self, **options):
        self.frames, self.jumps = [], 0
        defaults = {'stereo': False, 'infos': (), 'tolerance_ns': 0}
        self.it = Assembler(self.frames.append, self._back, **{**defaults, **options})

    def _back(self):
        self.jumps += 1

    def stamps_ms(self):
        """Milliseconds of the frames so far."""
        return [(frame.stamp_ns - 100_000 * MS) // MS for frame in self.frames]


def test_pair_waits_for_both_images_and_both_infos():
    """In any order; the first pair is not lost when its calibration comes last."""
    made = Made(stereo=True, infos=(LEFT, RIGHT), tolerance_ns=MS)
    made.it.image(RIGHT, message(1, 'right'))
    made.it.image(LEFT, message(0, 'left'))
    made.it.info(LEFT, message(0, 'left info'))
    assert made.frames == [] and made.it.without_info
    made.it.info(RIGHT, message(0, 'right info'))
    frame, = made.frames
    parts = (frame.left, frame.right, frame.left_info, frame.right_info)
    assert [part.name for part in parts] == ['left', 'right', 'left info', 'right info']
    assert made.stamps_ms() == [0]


def test_stamp_that_orders_nothing_is_refused():
    """Nanoseconds beyond a second."""
    broken = message(0)
    broken.header.stamp.nanosec = 1_000_000_000
    with pytest.raises(PerceptionError, match='invalid stamp'):
        Made().it.image(LEFT, broken)


def test_time_that_goes_back_is_told_before_the_frame():
    """Once for a loop, not for equal stamps."""
    made = Made()
    for stamp in (0, 100, 100, 200, 50, 150):
        made.it.image(LEFT, message(stamp))
    assert made.jumps == 1
    assert made.stamps_ms() == [0, 100, 100, 200, 50, 150]


DEPTH = AuxiliaryInput('stereo_depth', ('depth', 'sigma'))


def test_frame_waits_for_an_expected_auxiliary_input():
    """Both topics of that very stamp, then it goes on with them."""
    made = Made(auxiliary=(DEPTH,), wait_s=10.0)
    made.it.expected = {'stereo_depth'}
    made.it.image(LEFT, message(0))
    made.it.auxiliary('stereo_depth', 'depth', message(0, 'd'))
    made.it.auxiliary('stereo_depth', 'sigma', message(100, 's'))
    assert made.frames == []
    made.it.auxiliary('stereo_depth', 'sigma', message(0, 's'))
    frame, = made.frames
    assert {name: m.name for name, m in frame.auxiliary['stereo_depth'].items()} == {
        'depth': 'd', 'sigma': 's'
    }


def test_frame_does_not_wait_for_what_nobody_publishes():
    """It goes on at once, and takes what is there."""
    made = Made(auxiliary=(DEPTH,), wait_s=10.0)
    made.it.image(LEFT, message(0))
    assert made.stamps_ms() == [0] and made.frames[0].auxiliary == {}


def test_frame_goes_on_when_its_time_is_up():
    """Without it, when the timer looks."""
    made = Made(auxiliary=(DEPTH,), wait_s=0.05)
    made.it.expected = {'stereo_depth'}
    made.it.image(LEFT, message(0))
    assert made.frames == []
    time.sleep(0.06)
    made.it.release()
    assert made.stamps_ms() == [0]


def test_order_is_kept_when_a_later_auxiliary_input_comes_first():
    """The auxiliary input of an earlier frame was dropped by its node: do not wait for it."""
    made = Made(auxiliary=(DEPTH,), wait_s=10.0)
    made.it.expected = {'stereo_depth'}
    for stamp in (0, 100, 200):
        made.it.image(LEFT, message(stamp))
    for topic in DEPTH.topics:
        made.it.auxiliary('stereo_depth', topic, message(100))
    assert made.stamps_ms() == [0, 100]
    assert [bool(frame.auxiliary) for frame in made.frames] == [False, True]


def test_odometry_comes_by_time():
    """Messages around the image's stamp; it waits for one that is not older."""
    made = Made(auxiliary=(AuxiliaryInput('visual_odometry', ('odometry',), by_time=True),),
                wait_s=10.0)
    made.it.expected = {'visual_odometry'}
    for stamp in (60, 80):
        made.it.auxiliary('visual_odometry', 'odometry', message(stamp, stamp))
    made.it.image(LEFT, message(95))
    assert made.frames == []
    made.it.auxiliary('visual_odometry', 'odometry', message(110, 110))
    around = made.frames[0].auxiliary['visual_odometry']
    assert {side: m.name for side, m in around.items()} == {'before': 80, 'after': 110}


def test_looped_bag_forgets_what_was_to_come():
    """A frame of the earlier time does not take auxiliary inputs of the later one."""
    made = Made(auxiliary=(AuxiliaryInput('visual_odometry', ('odometry',), by_time=True),),
                wait_s=10.0)
    made.it.expected = {'visual_odometry'}
    made.it.auxiliary('visual_odometry', 'odometry', message(1000, 'later'))
    made.it.image(LEFT, message(990))
    made.it.image(LEFT, message(0))
    assert made.stamps_ms() == [990]
    made.it.auxiliary('visual_odometry', 'odometry', message(0, 'now'))
    assert made.stamps_ms() == [990, 0] and made.jumps == 1
    assert made.frames[1].auxiliary['visual_odometry']['before'].name == 'now'
