# SPDX-License-Identifier: Apache-2.0
"""Frames of a bag: paired, rectified, each with the calibration of its moment."""

from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.geometry.camera import rectification_maps, rectify_image
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.types import Image, PerceptionError

LENS = (-0.25, 0.06, 0.001, -0.002, 0.0)


def _frames(path: Any, tolerance_ns: int = 0, **names: str) -> tuple[list[Any], BagFrames]:
    with open_bag(path) as bag:
        frames = BagFrames(bag, find_cameras(bag, **names), tolerance_ns)
        return list(frames), frames


def test_every_pair_comes_in_order(write_bag: Any, stereo: Any) -> None:
    frames, source = _frames(write_bag(stereo(4)))
    assert [frame.left.stamp_ns for frame in frames] == [t for name, t, _ in stereo(4)
                                                        if name == '/stereo/left/image_rect']
    assert all(isinstance(frame, StereoFrame) for frame in frames)
    assert frames[0].rig.baseline_m == pytest.approx(0.3)
    assert source.pairer.unpaired == [0, 0]
    left, right = frames[2].left.data, frames[2].right.data
    np.testing.assert_array_equal(left[:, 12:], right[:, :-12])


def test_one_camera_gives_single_frames(write_bag: Any, stereo: Any) -> None:
    path = write_bag([entry for entry in stereo(2) if 'left' in entry[0]])
    frames, _ = _frames(path)
    assert [type(frame) for frame in frames] == [MonoFrame] * 2
    assert frames[0].camera.width == 192


def test_no_calibration_gives_frames_without_a_camera(write_bag: Any, stereo: Any) -> None:
    path = write_bag([entry for entry in stereo(2) if entry[0] == '/stereo/left/image_rect'])
    frames, _ = _frames(path)
    assert [frame.camera for frame in frames] == [None, None]


def test_the_info_may_come_after_the_first_image(write_bag: Any, stereo: Any) -> None:
    entries = stereo(2)
    frames, _ = _frames(write_bag([entries[i] for i in (1, 3, 0, 2, 5, 7, 4, 6)]))
    assert len(frames) == 2


def test_raw_images_are_rectified(write_bag: Any, stereo: Any, make_camera: Any) -> None:
    cameras = {side: make_camera(side, d=LENS) for side in ('left', 'right')}
    entries = stereo(2, image='image_raw', cameras=cameras)
    frames, _ = _frames(write_bag(entries))
    raw = entries[1][2].data.reshape(96, 192)
    expected = rectify_image(raw, rectification_maps(cameras['left']))
    assert np.abs(expected.astype(int) - raw).max() > 50
    np.testing.assert_array_equal(frames[0].left.data, expected)
    assert not frames[0].rig.left.distorted
    assert frames[0].rig.baseline_m == pytest.approx(0.3)


def test_rectified_images_are_left_alone(write_bag: Any, stereo: Any, make_camera: Any) -> None:
    """image_rect comes with the raw camera's D and K: only P counts for it."""
    cameras = {side: make_camera(side, d=LENS) for side in ('left', 'right')}
    entries = stereo(1, cameras=cameras)
    frames, _ = _frames(write_bag(entries))
    np.testing.assert_array_equal(frames[0].left.data, entries[1][2].data.reshape(96, 192))
    assert not frames[0].rig.left.distorted


def test_missing_partners_are_counted(write_bag: Any, stereo: Any) -> None:
    entries = [entry for i, entry in enumerate(stereo(5)) if i not in (5, 19)]
    frames, source = _frames(write_bag(entries))
    assert len(frames) == 3
    assert source.pairer.unpaired == [1, 1]


def test_stamps_that_never_pair(write_bag: Any, stereo: Any) -> None:
    entries = []
    for topic, recorded_ns, message in stereo(3):
        if 'right' in topic:
            message.header.stamp.nanosec += 7_000_000
        entries.append((topic, recorded_ns, message))
    path = write_bag(entries)
    with pytest.raises(PerceptionError, match=r'belong together \(the nearest are 7.000 ms apart'):
        _frames(path, tolerance_ns=6_999_999)
    frames, _ = _frames(path, tolerance_ns=7_000_000)
    assert len(frames) == 3


def test_a_recording_that_was_looped(write_bag: Any, stereo: Any) -> None:
    """Stamps go back by seconds while recording goes on: every pair is there, twice."""
    once = stereo(12)
    again = [(topic, recorded_ns + 10**10, message) for topic, recorded_ns, message in once]
    frames, source = _frames(write_bag([*once, *again]))
    stamps = [frame.left.stamp_ns for frame in frames]
    assert stamps == stamps[:12] * 2
    assert source.pairer.unpaired == [0, 0]
    assert 'the clock went back 1 time' in source.notes()[0]


def test_late_frames_are_dropped_and_counted(write_bag: Any, stereo: Any) -> None:
    """Frames 3 and 4 are swapped: one of them is late, and that is no reason to begin anew."""
    entries = stereo(8)
    for number in range(12, 20):
        topic, recorded_ns, message = entries[number]
        moved = 10**8 if number < 16 else -(10**8)
        entries[number] = (topic, recorded_ns + moved, message)
    frames, source = _frames(write_bag(sorted(entries, key=lambda entry: entry[1])))
    stamps = [frame.left.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)
    assert (len(frames), source.order.late, source.order.jumps) == (7, 1, 0)
    assert source.notes()[0].startswith('1 late frame was dropped')


def test_stamps_that_do_not_advance(write_bag: Any, stereo: Any) -> None:
    entries = stereo(4)
    for _, _, message in entries:
        message.header.stamp.sec, message.header.stamp.nanosec = 0, 0
    with pytest.raises(PerceptionError, match='do not advance: all 4 frames'):
        _frames(write_bag(entries))


def test_one_repeated_stamp_is_told(write_bag: Any, stereo: Any) -> None:
    entries = stereo(4)
    for number in (8, 9, 10, 11):
        entries[number][2].header.stamp = entries[4][2].header.stamp
    frames, source = _frames(write_bag(entries))
    assert len(frames) == 3
    assert source.notes() == (
        '1 frame with the stamp of the one before: dropped, their stamps do not advance',
    )


def test_the_size_changes_in_the_middle(write_bag: Any, stereo: Any, make_camera: Any) -> None:
    """Each new image is written before its camera_info: no frame is lost."""
    small = {side: make_camera(side, height=64) for side in ('left', 'right')}
    entries = stereo(4)
    for topic, recorded_ns, message in stereo(8, cameras=small)[16:]:
        if 'image' in topic:
            message.height, message.data = 64, message.data[:64 * 192]
        entries.append((topic, recorded_ns, message))
    entries = [(t, n + (2_000_000 if 'info' in t else 0), m) for t, n, m in entries]
    frames, _ = _frames(write_bag(sorted(entries, key=lambda entry: entry[1])))
    assert [frame.rig.left.height for frame in frames] == [96] * 4 + [64] * 4


@pytest.mark.parametrize('kind', ['single', 'latched', 'old'])
def test_camera_info_of_long_ago(write_bag: Any, stereo: Any, kind: str) -> None:
    """A latched one holds however old it is; of a stream that stopped it is a guess."""
    entries = stereo(4)
    infos = [entry for entry in entries if 'camera_info' in entry[0]]
    infos = infos[:2] if kind == 'single' else infos[:4]
    images = []
    for topic, recorded_ns, message in entries:
        if 'image' in topic:
            message.header.stamp.sec += 100
            images.append((topic, recorded_ns + 10**11, message))
    qos = {'latched': ('/stereo/left/camera_info', '/stereo/right/camera_info')}.get(kind, ())
    path = write_bag([*infos, *images], latched=qos)
    if kind != 'old':
        assert len(_frames(path)[0]) == 4
        return
    with pytest.raises(PerceptionError, match=r'the newest is 99\.9 s older'):
        _frames(path)
    with open_bag(path) as bag:
        assert len(list(BagFrames(bag, find_cameras(bag), info_max_age_s=0.0))) == 4


def test_camera_info_of_another_frame_is_refused(write_bag: Any, stereo: Any) -> None:
    entries = stereo(3)
    for topic, _, message in entries:
        if topic == '/stereo/left/image_rect':
            message.header.frame_id = 'right_optical'
    with pytest.raises(PerceptionError, match="is of frame 'right_optical' but its camera_info"):
        _frames(write_bag(entries))


def test_left_and_right_of_different_sizes(write_bag: Any, stereo: Any, make_camera: Any) -> None:
    entries = stereo(1)
    small = make_camera('right', width=96)
    factory = BagFactory()
    entries[2] = (entries[2][0], entries[2][1], info_from_camera(small, factory, 0))
    picture = Image(np.zeros((96, 96), np.uint8), entries[3][1])
    entries[3] = (entries[3][0], entries[3][1], image_message(picture, factory))
    with pytest.raises(PerceptionError, match='left is 192x96 but right is 96x96'):
        _frames(write_bag(entries))


def test_swapped_sides(write_bag: Any, stereo: Any) -> None:
    with pytest.raises(PerceptionError, match='are left and right swapped'):
        _frames(write_bag(stereo(1)), left='/stereo/right/image_rect',
                right='/stereo/left/image_rect')


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('step', 11, 'step 11 is too small'), ('encoding', 'nv61', "'nv61' is not known"),
        ('height', 0, 'empty image'), ('data', np.zeros(5, np.uint8), 'image data is 5 bytes'),
    ],
)
def test_a_malformed_image_is_left_out_and_named(
    write_bag: Any, stereo: Any, field: str, value: Any, reason: str
) -> None:
    entries = stereo(4)
    setattr(entries[5][2], field, value)
    with open_bag(write_bag(entries)) as bag:
        assert len(list(BagFrames(bag, find_cameras(bag)))) == 3
        (note,) = bag.notes
    assert '1 message of /stereo/left/image_rect left out; the one recorded at ' in note
    assert reason in note


def test_a_bag_of_malformed_images_is_refused(write_bag: Any, stereo: Any) -> None:
    entries = stereo(2)
    for topic, _, message in entries:
        if topic == '/stereo/right/image_rect':
            message.step = 11
    with pytest.raises(PerceptionError, match=r'no frame can be used: /stereo/right/.* step 11'):
        _frames(write_bag(entries))
