# SPDX-License-Identifier: Apache-2.0
"""A drive and a walk give every task its ground truth in the package's conventions."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.evaluation.sources import open_source
from perception_nodes.types import PerceptionError

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
    (tmp_path / 'times.txt').write_text('0.3\n0.4\n0.6\n')
    (tmp_path / 'poses.txt').write_text(
        '\n'.join(f'1 0 0 0 0 1 0 0 0 0 1 {number}' for number in numbers)
    )
    return tmp_path


def test_scans_become_disparity_and_depth(drive: Path) -> None:
    pairs = open_source('stereo_depth', 'kitti_drive', drive, None).samples
    assert [pair.name for pair in pairs] == ['000004', '000006']
    assert (pairs[0].left.data[0, 0], pairs[0].right.data[0, 0]) == (40, 41)
    assert pairs[0].disparity_px == pytest.approx(FOCAL_PX * BASELINE_M / DEPTH_M)
    source = open_source('mono_depth', 'kitti_drive', drive, None)
    assert source.settings is not None and source.settings['crop']
    assert (source.samples[1].depth_m == DEPTH_M).all()


def test_flow_of_a_drive_is_that_of_depth_and_motion(drive: Path) -> None:
    """A point at x was at ``cx + (x - cx) Z / (Z + 1)``; 6 has no frame just before it."""
    (step,) = open_source('optical_flow', 'kitti_drive', drive, None).samples
    assert (step.older.data[0, 0], step.newer.data[0, 0]) == (30, 40)
    x, y = np.meshgrid(np.arange(WIDTH) - 4.0, np.arange(HEIGHT) - 3.0)
    expected = np.stack([x, y], -1) / (DEPTH_M + 1)
    assert step.truth_px == pytest.approx(expected, abs=1e-5)


def test_odometry_of_a_drive_starts_at_the_origin_and_goes_forward(drive: Path) -> None:
    source = open_source('visual_odometry', 'kitti_drive', drive, None)
    poses = [frame.truth_odom_from_base for frame in source.samples]
    assert poses[0] == pytest.approx(np.eye(4))
    assert [pose[:3, 3].round(6).tolist() for pose in poses] == [[0, 0, 0], [1, 0, 0], [3, 0, 0]]
    assert source.base_from_camera is not None


def test_a_part_without_scans_says_so(drive: Path) -> None:
    with pytest.raises(PerceptionError, match='no frame that this task can be evaluated on'):
        open_source('stereo_depth', 'kitti_drive', drive, 'fit')


def test_places_of_the_office_are_views_that_are_shared(shared: Path) -> None:
    """Each query has answers that share half its view; unclear ones do not count."""
    root = shared / 'data' / 'hololens_office'
    source = open_source('place_recognition', 'hololens_office', root, None)
    query = source.samples[250]
    shared_view = cv2.imread(str(root / 'overlap.png'), cv2.IMREAD_UNCHANGED) / 255.0
    mutual = (shared_view[250] + shared_view[:, 250]) / 2
    assert query.same and all(mutual[n] >= 0.5 - 1e-6 and n < 240 for n in query.same)
    assert not query.same & query.ignored
    assert set(range(240, 251)) <= query.ignored
    rest = set(range(250)) - query.same - query.ignored
    assert all(mutual[n] <= 0.1 + 1e-6 for n in rest)


def test_office_depth_is_scored_up_to_10_m(shared: Path) -> None:
    source = open_source(
        'mono_depth', 'hololens_office', shared / 'data' / 'hololens_office', 'held_out'
    )
    assert source.settings == {'min_depth_m': 0.1, 'max_depth_m': 10.0}
    assert 0.3 < np.nanmin(source.samples[0].depth_m) < np.nanmax(source.samples[0].depth_m) < 10
