# SPDX-License-Identifier: Apache-2.0
"""A rendered bag holds the drive and its truth, to the last bit."""

import numpy as np
import pytest

from perception_nodes.bags.cameras import StereoTopics, find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.messages.image import decode_array
from perception_nodes.messages.primitives import transform_of_pose
from perception_nodes.simulation.drive import drive
from perception_nodes.simulation.render.stereo_view import stereo_rig
from perception_nodes.simulation.scene.street_world import StreetWorld, WorldConfig
from perception_nodes.types import PerceptionError

RIG = stereo_rig(96, 64, 70.0, 0.4)
FRAMES = 2


@pytest.fixture(scope='module')
def world():
    """A short, quiet street."""
    return StreetWorld(5, WorldConfig(length_m=30.0, weather='overcast', traffic=0.3))


@pytest.fixture(scope='module')
def told():
    """Progress as it was told."""
    return []


@pytest.fixture(scope='module')
def bag(tmp_path_factory, world, told):
    """The bag, open."""
    path = tmp_path_factory.mktemp('rendered') / 'drive'
    write_rendered_bag(path, 5, FRAMES, rig=RIG, world=world,
                       progress=lambda done, count: told.append((done, count)))
    with open_bag(path) as reader:
        yield reader


def test_truth_is_the_drive_s(bag, world, told):
    samples = list(drive(5, FRAMES, rig=RIG, world=world))
    arrays = {}
    for entry in bag.messages(['/ground_truth/depth', '/ground_truth/labels',
                               '/ground_truth/flow', '/ground_truth/disparity']):
        arrays.setdefault(entry.topic, []).append(decode_array(entry.message))
    for index, sample in enumerate(samples):
        np.testing.assert_array_equal(arrays['/ground_truth/depth'][index], sample.depth_m)
        np.testing.assert_array_equal(arrays['/ground_truth/labels'][index], sample.labels)
        np.testing.assert_array_equal(
            arrays['/ground_truth/disparity'][index], sample.disparity_px
        )
    assert len(arrays['/ground_truth/flow']) == FRAMES - 1
    np.testing.assert_array_equal(arrays['/ground_truth/flow'][0], samples[1].flow_px)
    poses = [transform_of_pose(e.message.pose.pose) for e in bag.messages(
        ['/ground_truth/odometry'])]
    np.testing.assert_allclose(poses[1], samples[1].odom_from_base, atol=1e-9)
    assert told == [(1, FRAMES), (2, FRAMES)]


def test_cameras_are_found_and_read(bag, world):
    cameras = find_cameras(bag)
    assert isinstance(cameras, StereoTopics)
    frames = list(BagFrames(bag, cameras))
    sample = next(drive(5, FRAMES, rig=RIG, world=world))
    assert len(frames) == FRAMES
    np.testing.assert_array_equal(frames[0].left.data, sample.left.data)
    np.testing.assert_array_equal(frames[0].right.data, sample.right.data)
    assert frames[0].rig.baseline_m == pytest.approx(0.4)
    np.testing.assert_allclose(
        base_from_frame(bag, sample.left.frame_id), sample.base_from_camera, atol=1e-9
    )


def test_an_existing_folder_is_refused(tmp_path):
    (tmp_path / 'drive').mkdir()
    (tmp_path / 'drive' / 'mine').write_text('keep')
    with pytest.raises(PerceptionError, match='exists'):
        write_rendered_bag(tmp_path / 'drive', 1, 1)
    assert (tmp_path / 'drive' / 'mine').read_text() == 'keep'
