# SPDX-License-Identifier: Apache-2.0
"""Data sets and bags give every task its frames, in the package's conventions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.datasets.samples import DepthImage, FlowPair
from perception_nodes.evaluation.dataset_samples import sample_of
from perception_nodes.evaluation.method import run_method
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.evaluation.sources import SOURCES, dataset, open_source, sources_of
from perception_nodes.geometry.warp import warp_by_flow
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.types import Camera, Depth, Image, Odometry, PerceptionError


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
    """Our ground truth warps the older image onto the newer one; the wrong sign does not."""
    first = Image(np.ascontiguousarray(wall_drive.view(20)), 0)
    second = Image(np.ascontiguousarray(wall_drive.view(13)), 1)
    forward = np.full((*first.data.shape[:2], 2), (7.0, 0.0), np.float32)
    step = sample_of([FlowPair('shift', first, second, forward)], 0)
    assert step.before is not None
    assert step.before.stamp_ns == step.truth.flow_from_ns < step.image.stamp_ns
    assert np.array_equal(step.image.data, first.data)
    warped = warp_by_flow(step.before.data, step.truth.flow_px)
    seen = np.isfinite(warped)
    assert seen.mean() > 0.9
    assert np.array_equal(warped[seen], step.image.data[seen])
    wrong = warp_by_flow(step.before.data, -step.truth.flow_px)
    assert np.nanmean(np.abs(wrong - step.image.data)) > 10.0


@pytest.mark.parametrize(
    ('task', 'field', 'known'),
    [('segmentation', 'labels', 6), ('stereo_depth', 'disparity_px', 6),
     ('mono_depth', 'depth_m', 6), ('optical_flow', 'flow_px', 5),
     ('visual_odometry', 'odom_from_base', 6)],
)  # fmt: skip
def test_a_bag_gives_every_task_its_frames(
    wall_bag: Path, task: str, field: str, known: int
) -> None:
    """All frames come, since a task may need the ones before; each with the task's truth."""
    source = open_source(task, 'bag', wall_bag, None)
    truths = [getattr(sample.truth, field) for sample in source.samples]
    assert len(truths) == source.count == 6
    assert sum(truth is not None for truth in truths) == known


def test_flow_of_a_bag_has_the_truth_between_two_images(wall_bag: Path) -> None:
    before: Any = None
    for sample in open_source('optical_flow', 'bag', wall_bag, None).samples:
        if before is not None:
            assert sample.truth.flow_from_ns == before.stamp_ns
            warped = warp_by_flow(before.data, sample.truth.flow_px)
            seen = np.isfinite(warped)
            assert np.array_equal(warped[seen], sample.image.data[seen])
        before = sample.image


def test_a_real_drive_without_dense_truth_says_so(shared: Path) -> None:
    bag = shared / 'bags' / 'kitti_06_stereo'
    drive = open_source('visual_odometry', 'bag', bag, None)
    assert drive.count == sum(1 for _ in drive.samples) == 51
    assert drive.base_from_camera is not None
    with pytest.raises(PerceptionError, match='no frame has /ground_truth/labels'):
        open_source('segmentation', 'bag', bag, None)
    with pytest.raises(PerceptionError, match='never comes back within 3 m'):
        open_source('place_recognition', 'bag', bag, None)


def test_a_drive_that_comes_back_has_places(tmp_path: Path) -> None:
    """One frame a second out and back over 3 m steps: only the way back has answers."""
    path = tmp_path / 'loop'
    write_poses(path, [*range(0, 30, 3), *range(27, -3, -3)])
    source = open_source('place_recognition', 'bag', path, None)
    queries = [sample.truth.place for sample in source.samples]
    assert not any(query.same for query in queries[:11])
    assert queries[19].same == {1, 10**9 + 1}
    assert queries[19].counts(8 * 10**9 + 1) and not queries[19].counts(9 * 10**9 + 1)
    (image,) = source.images([5 * 10**9 + 1]).values()
    assert image.stamp_ns == 5 * 10**9 + 1


def test_sources_name_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='cannot be evaluated on camvid; it can on: kitti'):
        open_source('stereo_depth', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='no task'):
        open_source('cooking', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='does not exist'):
        open_source('segmentation', 'camvid', tmp_path / 'nowhere', None)
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        open_source('mono_depth', 'kitti_depth', tmp_path, 'dusk')
    assert list(sources_of('visual_odometry')) == ['kitti_drive', 'bag']


def test_queries_ignore_their_neighbours(shared: Path) -> None:
    corridor = open_source(
        'place_recognition', 'loop_matrix', shared / 'data' / 'rtabmap_corridor', None
    )
    queries = [sample.truth.place for sample in corridor.samples]
    assert queries[50].same == {n * 10**9 for n in (8, 9, 10, 11, 12)}
    assert queries[50].counts(39 * 10**9) and not queries[50].counts(40 * 10**9)
    assert not queries[20].same


class OneImage(Sequence[DepthImage]):
    """A reader as somebody else writes it: one image of a wall at 4 m."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        camera = Camera.pinhole(4, 3, 4.0, 4.0, 1.5, 1.0)
        image = Image(np.zeros((3, 4, 3), np.uint8))
        return DepthImage('wall', image, camera, np.full((3, 4), 4.0, np.float32))


class FiveMetres:
    """A pipeline that answers 5 m everywhere."""

    runners = ()

    def reset(self) -> None:
        """Forget nothing."""

    def __call__(self, image: Image, camera: Camera) -> Depth:
        full = np.ones(image.data.shape[:2], np.float32)
        return Depth(image.stamp_ns, '', camera, 5 * full, full)


def test_a_new_reader_needs_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its file and this entry; then the task is evaluated on it."""
    monkeypatch.setitem(SOURCES['mono_depth'], 'one_image', dataset(OneImage))
    source = open_source('mono_depth', 'one_image', tmp_path, None)
    result = run_method(
        'ours', 'mono_depth', FiveMetres(), {}, SCORERS['mono_depth'](source), source
    )
    assert result.metrics['abs_rel'] == 0.25
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        open_source('mono_depth', 'one_image', tmp_path, 'dusk')
