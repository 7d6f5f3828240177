# SPDX-License-Identifier: Apache-2.0
"""A drive and a walk give every task its ground truth in the package's conventions."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.evaluation.scorers.mono_depth import MonoDepthScorer
from perception_nodes.evaluation.sources import open_source
from perception_nodes.types import Depth, PerceptionError

HEIGHT, WIDTH, FOCAL_PX, BASELINE_M, DEPTH_M = 6, 8, 10.0, 0.5, 4.0


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Frames 3, 4 and 6 go straight on, a metre a number; 4 and 6 have a scan of a wall."""
    numbers = (3, 4, 6)
    for folder in ('image_0', 'image_1', 'lidar_depth'):
        (tmp_path / folder).mkdir()
    for number in numbers:
        for side in (0, 1):
            image = np.full((HEIGHT, WIDTH), 10 * number + side, np.uint8)
            cv2.imwrite(str(tmp_path / f'image_{side}' / f'{number:06d}.png'), image)
        if number > 3:
            depth = np.full((HEIGHT, WIDTH), int(256 * DEPTH_M), np.uint16)
            cv2.imwrite(str(tmp_path / 'lidar_depth' / f'{number:06d}.png'), depth)
    rows = '0 4 0 0 10 3 0 0 0 1 0'
    (tmp_path / 'calib.txt').write_text(
        f'P0: 10 {rows}\nP1: 10 {rows.replace("4 0", f"4 {-FOCAL_PX * BASELINE_M}", 1)}\n'
    )
    (tmp_path / 'ids.txt').write_text('\n'.join(f'{number:06d}' for number in numbers))
    (tmp_path / 'times.txt').write_text('0.3\n0.4\n0.9\n')
    (tmp_path / 'poses.txt').write_text(
        '\n'.join(f'1 0 0 0 0 1 0 0 0 0 1 {number}' for number in numbers)
    )
    return tmp_path


def test_scans_become_disparity_and_depth(drive: Path) -> None:
    pairs = list(open_source('stereo_depth', 'kitti_drive', drive, None).samples)
    assert [pair.name for pair in pairs] == ['000004', '000006']
    assert (pairs[0].frame.left.data[0, 0], pairs[0].frame.right.data[0, 0]) == (40, 41)
    assert pairs[0].truth.disparity_px == pytest.approx(FOCAL_PX * BASELINE_M / DEPTH_M)
    source = open_source('mono_depth', 'kitti_drive', drive, None)
    assert source.settings['crop']
    depths = [sample.truth.depth_m for sample in source.samples]
    assert depths[0] is None and all((depth == DEPTH_M).all() for depth in depths[1:])


def test_depth_that_follows_the_motion_does_not_flicker(drive: Path) -> None:
    """The drive goes a metre on in a tenth of a second: so much nearer must everything be."""
    source = open_source('mono_depth', 'kitti_drive', drive, None)
    for second_m, expected in ((DEPTH_M, 0.0), (2 * DEPTH_M, np.log(9 / 5))):
        scorer = MonoDepthScorer(source)
        metric = scorer.metric()
        estimates_m = (DEPTH_M + 1, second_m, 99.0)
        for sample, depth_m in zip(source.samples, estimates_m, strict=True):
            flat = np.full((HEIGHT, WIDTH), depth_m, np.float32)
            camera = sample.frame.rig.left
            result = Depth(sample.image.stamp_ns, '', camera, flat, flat)
            assert (scorer.score(metric, sample.truth, result) is None) == (depth_m == DEPTH_M + 1)
        assert metric.compute()['flicker'] == pytest.approx(abs(expected), rel=1e-3, abs=1e-6)


def test_flow_of_a_drive_is_that_of_depth_and_motion(drive: Path) -> None:
    """A point at x was at ``cx + (x - cx) Z / (Z + 1)``; 6 has no frame just before it."""
    (step,) = open_source('optical_flow', 'kitti_drive', drive, None).samples
    assert (step.before.data[0, 0], step.image.data[0, 0]) == (30, 40)
    x, y = np.meshgrid(np.arange(WIDTH) - 4.0, np.arange(HEIGHT) - 3.0)
    expected = np.stack([x, y], -1) / (DEPTH_M + 1)
    assert step.truth.flow_px == pytest.approx(expected, abs=1e-5)


def test_odometry_of_a_drive_starts_at_the_origin_and_goes_forward(drive: Path) -> None:
    source = open_source('visual_odometry', 'kitti_drive', drive, None)
    poses = [sample.truth.odom_from_base for sample in source.samples]
    assert poses[0] == pytest.approx(np.eye(4))
    assert [pose[:3, 3].round(6).tolist() for pose in poses] == [[0, 0, 0], [1, 0, 0], [3, 0, 0]]
    assert source.base_from_camera is not None


def test_a_part_without_scans_says_so(drive: Path) -> None:
    with pytest.raises(PerceptionError, match='holds no frame to evaluate stereo_depth on'):
        open_source('stereo_depth', 'kitti_drive', drive, 'fit')


def test_places_of_the_office_are_views_that_are_shared(shared: Path) -> None:
    """Each query has answers that share half its view; unclear ones do not count."""
    root = shared / 'data' / 'hololens_office'
    source = open_source('place_recognition', 'hololens_office', root, None)
    query = next(islice(source.samples, 250, None)).truth.place
    shared_view = cv2.imread(str(root / 'overlap.png'), cv2.IMREAD_UNCHANGED) / 255.0
    mutual = (shared_view[250] + shared_view[:, 250]) / 2
    same = {stamp // 10**9 for stamp in query.same}
    assert same and all(mutual[n] >= 0.5 - 1e-6 and n < 240 for n in same)
    counted = {n for n in range(251) if query.counts(n * 10**9)}
    assert same < counted < set(range(240))
    assert all(mutual[n] <= 0.1 + 1e-6 for n in counted - same)


def test_office_depth_is_scored_up_to_10_m(shared: Path) -> None:
    source = open_source(
        'mono_depth', 'hololens_office', shared / 'data' / 'hololens_office', 'held_out'
    )
    assert source.settings == {'min_depth_m': 0.1, 'max_depth_m': 10.0}
    depth_m = source.first().truth.depth_m
    assert 0.3 < np.nanmin(depth_m) < np.nanmax(depth_m) < 10
