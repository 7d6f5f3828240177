# SPDX-License-Identifier: Apache-2.0
"""Data sets and bags give every task its frames, in the package's conventions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.datasets.samples import FlowPair
from perception_nodes.evaluation.samples import PlaceQuery, step_of_pair
from perception_nodes.evaluation.sources import SOURCES, open_source
from perception_nodes.geometry.warp import warp_by_flow
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.types import Camera, Image, Odometry, PerceptionError


def write_poses(path: Path, places_m: list[int]) -> None:
    """A mono drive along x, a frame a second, blank images."""
    factory = BagFactory()
    camera = Camera.pinhole(16, 12, 16.0, 16.0, 7.5, 5.5, frame_id='camera')
    with BagWriter(path) as writer:
        for second, place_m in enumerate(places_m):
            stamp, pose = second * 10**9 + 1, np.eye(4)
            pose[0, 3] = place_m
            image = Image(np.zeros((12, 16, 3), np.uint8), stamp, 'camera')
            writer.write('/camera/image_rect', stamp, image_message(image, factory))
            writer.write('/camera/camera_info', stamp, info_from_camera(camera, factory, stamp))
            truth = Odometry(
                stamp, 'odom', 'base_link', pose, np.eye(6), np.zeros(6), np.eye(6)
            )
            writer.write('/ground_truth/odometry', stamp, odometry_message(truth, factory))


def test_a_pair_is_turned_around_exactly(wall_drive: Any) -> None:
    """Our truth warps the older image onto the newer one; the wrong sign does not."""
    first = Image(np.ascontiguousarray(wall_drive.view(20)), 0)
    second = Image(np.ascontiguousarray(wall_drive.view(13)), 1)
    forward = np.full((*first.data.shape[:2], 2), (7.0, 0.0), np.float32)
    step = step_of_pair(FlowPair('shift', first, second, forward))
    assert step.older.stamp_ns < step.newer.stamp_ns
    assert np.array_equal(step.newer.data, first.data)
    warped = warp_by_flow(step.older.data, step.truth_px)
    seen = np.isfinite(warped)
    assert seen.mean() > 0.9
    assert np.array_equal(warped[seen], step.newer.data[seen])
    wrong = warp_by_flow(step.older.data, -step.truth_px)
    assert np.nanmean(np.abs(wrong - step.newer.data)) > 10.0


@pytest.mark.parametrize(
    ('task', 'samples'),
    [('segmentation', 6), ('stereo_depth', 6), ('mono_depth', 6), ('optical_flow', 5),
     ('visual_odometry', 6)],
)  # fmt: skip
def test_a_bag_gives_every_task_its_frames(wall_bag: Path, task: str, samples: int) -> None:
    source = open_source(task, 'bag', wall_bag, None)
    assert len(list(source.samples)) == len(source.samples) == samples


def test_flow_steps_of_a_bag_have_the_truth_between_their_images(wall_bag: Path) -> None:
    for step in open_source('optical_flow', 'bag', wall_bag, None).samples:
        assert step.newer.stamp_ns - step.older.stamp_ns == 100_000_000
        warped = warp_by_flow(step.older.data, step.truth_px)
        seen = np.isfinite(warped)
        assert np.array_equal(warped[seen], step.newer.data[seen])


def test_a_real_drive_without_dense_truth_says_so(shared: Path) -> None:
    bag = shared / 'bags' / 'kitti_06_stereo'
    drive = open_source('visual_odometry', 'bag', bag, None)
    assert len(drive.samples) == 51
    assert drive.base_from_camera is not None
    with pytest.raises(PerceptionError, match='no frame has /ground_truth/labels'):
        open_source('segmentation', 'bag', bag, None)
    with pytest.raises(PerceptionError, match='never comes back within 3 m'):
        open_source('place_recognition', 'bag', bag, None)


def test_a_drive_that_comes_back_has_places(tmp_path: Path) -> None:
    """One frame a second out and back over 3 m steps: only the way back has answers."""
    path = tmp_path / 'loop'
    write_poses(path, [*range(0, 30, 3), *range(27, -3, -3)])
    queries = list(open_source('place_recognition', 'bag', path, None).samples)
    assert not any(query.same for query in queries[:11])
    assert queries[19].same == {0, 1}
    assert queries[19].ignored == set(range(9, 20))
    assert queries[19].number == 19


def test_sources_name_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='camvid cannot evaluate stereo_depth; these can'):
        open_source('stereo_depth', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='no task'):
        open_source('cooking', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='does not exist'):
        open_source('segmentation', 'camvid', tmp_path / 'nowhere', None)
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        open_source('mono_depth', 'kitti_depth', tmp_path, 'dusk')
    assert 'bag' in SOURCES['visual_odometry']


def test_queries_ignore_their_neighbours(shared: Path) -> None:
    walk = open_source('place_recognition', 'loop_matrix', shared / 'data' / 'rtabmap_corridor',
                       None)  # fmt: skip
    query: PlaceQuery = walk.samples[50]
    assert query.same == {8, 9, 10, 11, 12}
    assert query.ignored == set(range(40, 51))
    assert not walk.samples[20].same
