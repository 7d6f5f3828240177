# SPDX-License-Identifier: Apache-2.0
"""Frames out of single messages, without ROS."""

import time
from types import SimpleNamespace

import pytest

from perception_nodes.pipelines.tasks import AuxiliaryInput
from perception_nodes.ros.input import assembler
from perception_nodes.ros.input.assembler import Assembler
from perception_nodes.ros.input.calibration import WAIT_TICKS
from perception_nodes.ros.input.raw_frame import LEFT, RIGHT, Assembly
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.types import PerceptionError

MS = 1_000_000


def message(milliseconds, name='', frame='', width=4):
    """An image, or a camera_info."""
    stamp = SimpleNamespace(sec=100 + milliseconds // 1000, nanosec=milliseconds % 1000 * MS)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id=frame), name=name, width=width, height=3,
        roi=SimpleNamespace(width=0, height=0), binning_x=0, binning_y=0,
    )


class Made:
    """An assembler and what came out of it."""

    def __init__(self, **options):
        self.frames, self.jumps = [], 0
        self.statistics, self.log = Statistics(), []
        self.it = Assembler(
            Assembly(**options), self.statistics, Problems(self.log.append), self.frames.append,
            self._back,
        )

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
    assert made.frames == []
    made.it.info(RIGHT, message(1, 'right info'))
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


def test_late_frame_is_dropped_and_counted():
    """Two frames swapped, a clock a millisecond back: no time jump, and the order is kept."""
    made = Made()
    for stamp in (0, 100, 300, 200, 299, 300, 400):
        made.it.image(LEFT, message(stamp))
    assert made.stamps_ms() == [0, 100, 300, 300, 400]
    assert made.jumps == 0 and made.statistics.counted('late') == 2
    assert made.statistics.counted('repeated stamp') == 1


def test_clock_that_goes_back_is_a_time_jump_before_the_frame():
    """A looped bag; how far is a parameter."""
    made = Made(clock_jump_s=0.2)
    order = []
    made.it._emit, made.it._time_jumped = (
        lambda frame: order.append(frame.stamp_ns // MS - 100_000), lambda: order.append('jump')
    )
    for stamp in (0, 200, 150, 400, 200, 300):
        made.it.image(LEFT, message(stamp))
    assert order == [0, 200, 400, 'jump', 200, 300]
    assert made.statistics.counted('time jump') == made.statistics.counted('late') == 1


def test_clock_that_stays_a_little_behind_is_a_jump_too(monkeypatch):
    """A recording of half a second in a loop: nothing would ever be answered again."""
    now = [50.0]
    monkeypatch.setattr(assembler, 'time', SimpleNamespace(monotonic=lambda: now[0]))
    made = Made(clock_jump_s=0.5)
    made.it.image(LEFT, message(1000))
    for now[0] in (50.1, 50.4, 50.59):
        made.it.image(LEFT, message(980))
    assert made.stamps_ms() == [1000] and made.jumps == 0
    now[0] = 50.61
    made.it.image(LEFT, message(980))
    assert made.stamps_ms() == [1000, 980] and made.jumps == 1
    made.it.image(LEFT, message(990))
    made.it.image(LEFT, message(985))
    assert made.stamps_ms() == [1000, 980, 990] and made.jumps == 1


def test_stamps_that_stand_still_are_counted_in_a_row():
    """A simulator that leaves the stamp at zero."""
    made = Made()
    for stamp in (0, 0, 0):
        made.it.image(LEFT, message(stamp))
    assert made.it.repeated == 2
    made.it.image(LEFT, message(100))
    assert made.it.repeated == 0


def infos_of(made):
    """Names of the infos that the frames came with."""
    return [frame.left_info.name for frame in made.frames]


def test_image_waits_for_the_camera_info_of_its_own_stamp():
    """It comes after the image, as image_transport may send it; a zoom is never a frame late."""
    made = Made(infos=(LEFT,))
    for stamp in (0, 100, 200):
        made.it.image(LEFT, message(stamp))
        assert len(made.frames) == stamp // 100
        made.it.info(LEFT, message(stamp, f'info {stamp}'))
    assert infos_of(made) == ['info 0', 'info 100', 'info 200']


def test_lost_camera_info_costs_a_moment_and_then_no_more():
    """The newest one is taken; a stream without infos of its own is not waited for again."""
    made = Made(infos=(LEFT,))
    made.it.info(LEFT, message(0, 'first'))
    made.it.image(LEFT, message(0))
    made.it.image(LEFT, message(100))
    assert len(made.frames) == 1 and made.it.waiting
    for _ in range(WAIT_TICKS):
        made.it.tick()
    assert infos_of(made) == ['first', 'first'] and not made.it.waiting
    made.it.image(LEFT, message(200))
    assert infos_of(made) == ['first'] * 3


def test_frame_with_its_own_info_does_not_overtake():
    """The info of the one before was lost: that one goes first, with the newest."""
    made = Made(infos=(LEFT,))
    for stamp in (0, 200):
        made.it.info(LEFT, message(stamp, f'info {stamp}'))
    for stamp in (0, 100, 200):
        made.it.image(LEFT, message(stamp))
    assert made.stamps_ms() == [0, 100, 200]
    assert infos_of(made) == ['info 0', 'info 200', 'info 200']


def test_size_that_changes_waits_for_its_calibration():
    """The image of the new size comes first."""
    made = Made(infos=(LEFT,))
    made.it.info(LEFT, message(0, 'large'))
    made.it.image(LEFT, message(0))
    made.it.image(LEFT, message(100, width=2))
    made.it.info(LEFT, message(100, 'small', width=2))
    assert infos_of(made) == ['large', 'small']


@pytest.mark.parametrize(('image', 'reason'), [
    (message(100, frame='front'), "of frame 'front' but its camera_info is of 'rear'"),
    (message(100, frame='rear', width=2), 'image is 2x3 but its camera_info says 4x3'),
    (message(60_000, frame='rear'), '60.0 s older; camera_info_max_age_s allows 10 s'),
])
def test_camera_info_that_is_not_the_images_is_refused(image, reason):
    """It has a moment to come; then the frame is dropped, and the reason is told."""
    made = Made(infos=(LEFT,))
    made.it.info(LEFT, message(0, frame='rear'))
    made.it.image(LEFT, image)
    for _ in range(WAIT_TICKS):
        assert not made.log
        made.it.tick()
    assert not made.frames and not made.it.waiting
    assert reason in made.log[0] and made.statistics.counted('bad') == 1


def test_latched_camera_info_holds():
    """It was published once, a minute ago."""
    made = Made(infos=(LEFT,))
    made.it.info(LEFT, message(0, 'latched'), latched=True)
    made.it.image(LEFT, message(60_000))
    assert infos_of(made) == ['latched']


ODOMETRY = AuxiliaryInput('visual_odometry', 'odometry', ('odometry',), by_time=True)
DEPTH = AuxiliaryInput('stereo_depth', 'depth', ('depth', 'sigma'))


def test_frame_waits_for_an_expected_auxiliary_input():
    """Both topics of that very stamp, then it goes on with them."""
    made = Made(auxiliary=(DEPTH,), wait_s=10.0)
    made.it.auxiliary_results.expected = {'stereo_depth'}
    made.it.image(LEFT, message(0))
    made.it.auxiliary('stereo_depth', 'depth', message(0, 'd'))
    made.it.auxiliary('stereo_depth', 'sigma', message(100, 's'))
    assert made.frames == []
    made.it.auxiliary('stereo_depth', 'sigma', message(0, 's'))
    frame, = made.frames
    depth, = frame.auxiliary['stereo_depth']
    assert {name: m.name for name, m in depth.items()} == {
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
    made.it.auxiliary_results.expected = {'stereo_depth'}
    made.it.image(LEFT, message(0))
    assert made.frames == []
    time.sleep(0.06)
    made.it.tick()
    assert made.stamps_ms() == [0]


def test_frames_that_wait_are_few():
    """What they wait for never comes, and they are large."""
    made = Made(auxiliary=(DEPTH,), wait_s=1000.0)
    made.it.auxiliary_results.expected = {'stereo_depth'}
    for stamp in range(0, 2000, 100):
        made.it.image(LEFT, message(stamp))
    assert made.stamps_ms() == list(range(0, 2000 - 100 * assembler.MAX_WAITING, 100))


def test_order_is_kept_when_a_later_auxiliary_input_comes_first():
    """The auxiliary input of an earlier frame was dropped by its node: do not wait for it."""
    made = Made(auxiliary=(DEPTH,), wait_s=10.0)
    made.it.auxiliary_results.expected = {'stereo_depth'}
    for stamp in (0, 100, 200):
        made.it.image(LEFT, message(stamp))
    for topic in DEPTH.topics:
        made.it.auxiliary('stereo_depth', topic, message(100))
    assert made.stamps_ms() == [0, 100]
    assert [bool(frame.auxiliary) for frame in made.frames] == [False, True]


def test_odometry_comes_by_time():
    """Messages around the image's stamp; it waits for one that is not older."""
    made = Made(auxiliary=(ODOMETRY,), wait_s=10.0)
    made.it.auxiliary_results.expected = {'visual_odometry'}
    for stamp in (60, 80):
        made.it.auxiliary('visual_odometry', 'odometry', message(stamp, stamp))
    made.it.image(LEFT, message(95))
    assert made.frames == []
    made.it.auxiliary('visual_odometry', 'odometry', message(110, 110))
    around = made.frames[0].auxiliary['visual_odometry']
    assert [messages['odometry'].name for messages in around] == [80, 110]


def test_looped_bag_forgets_what_was_to_come():
    """A frame of the earlier time does not take auxiliary inputs of the later one."""
    made = Made(auxiliary=(ODOMETRY,), wait_s=10.0)
    made.it.auxiliary_results.expected = {'visual_odometry'}
    made.it.auxiliary('visual_odometry', 'odometry', message(2000, 'later'))
    made.it.image(LEFT, message(1990))
    made.it.image(LEFT, message(0))
    assert made.stamps_ms() == [1990]
    made.it.auxiliary('visual_odometry', 'odometry', message(0, 'now'))
    assert made.stamps_ms() == [1990, 0] and made.jumps == 1
    around, = made.frames[1].auxiliary['visual_odometry']
    assert around['odometry'].name == 'now'
