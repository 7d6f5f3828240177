# SPDX-License-Identifier: Apache-2.0
"""Labels of pairs: metric, kept on disk, the network only where consensus is silent."""

from pathlib import Path

import numpy as np
import pytest

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.training.stereo_labels import (
    LEAST_DISPARITY_PX,
    TEACHER_WEIGHT,
    StereoLabels,
)
from perception_nodes.types import Camera, Depth, Image, StereoRig

HEIGHT, WIDTH = 120, 320


def rig() -> StereoRig:
    """Focal length 500 px, baseline 0.48 m: 12 px of disparity are 20 m."""
    cameras = (
        Camera.pinhole(WIDTH, HEIGHT, 500.0, 500.0, 160, 60, baseline_m=b) for b in (0, 0.48)
    )
    return StereoRig(*cameras)


def wall() -> tuple[Image, Image]:
    """A textured wall 12 px of disparity away, with a blank lower half."""
    wide = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH + 12), np.uint8)
    wide[HEIGHT // 2 :] = 120
    return Image(np.ascontiguousarray(wide[:, :WIDTH])), Image(np.ascontiguousarray(wide[:, 12:]))


class Teacher:
    """Says 8 px everywhere, and is sure of the left half."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, left: Image, right: Image, pair_rig: StereoRig) -> Depth:
        self.calls += 1
        disparity = np.full((HEIGHT, WIDTH), 8.0, np.float32)
        sigma = np.full((HEIGHT, WIDTH), 0.5, np.float32)
        sigma[:, WIDTH // 2 :] = 3.0
        return Depth(0, '', pair_rig.left, disparity, sigma, disparity, sigma)


def test_consensus_is_metric_and_kept(tmp_path: Path) -> None:
    labels = StereoLabels(tmp_path, teacher=None)
    depth_m, weight = labels('pair', *wall(), rig())
    known = depth_m > 0
    assert 0.3 < known.mean() < 0.9
    assert np.median(depth_m[known]) == pytest.approx(20.0, rel=0.01)
    assert (weight[known] > 0).all() and not weight[~known].any()
    stamp = (tmp_path / 'pair.npz').stat().st_mtime_ns
    again, _ = labels('pair', *wall(), rig())
    assert (tmp_path / 'pair.npz').stat().st_mtime_ns == stamp
    assert np.array_equal(again, depth_m)


def test_the_network_fills_where_it_is_sure_and_consensus_silent(tmp_path: Path) -> None:
    labels = StereoLabels(tmp_path, teacher=None)
    alone, _ = labels('pair', *wall(), rig())
    labels.pipeline, labels.model = Teacher(), 'model'
    depth_m, weight = labels('pair', *wall(), rig())
    agreed = alone > 0
    assert np.array_equal(depth_m[agreed], alone[agreed])
    filled = (depth_m > 0) & ~agreed
    assert filled[:, : WIDTH // 2].mean() > 0.2
    assert not filled[:, WIDTH // 2 :].any()
    assert depth_m[filled] == pytest.approx(500 * 0.48 / 8)
    assert weight[filled] == pytest.approx(TEACHER_WEIGHT)
    labels('pair', *wall(), rig())
    assert labels.pipeline.calls == 1


def test_what_is_too_far_to_be_measured_is_not_known(tmp_path: Path) -> None:
    """Of a wall at infinity the disparity is under the least that counts."""
    texture = np.random.default_rng(2).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    shifted = np.roll(texture, -1, axis=1)
    depth_m, weight = StereoLabels(tmp_path, None)('far', Image(texture), Image(shifted), rig())
    assert LEAST_DISPARITY_PX > 1
    assert not depth_m.any() and not weight.any()


def test_labels_of_the_real_drive_agree_with_its_scans(shared: Path, tmp_path: Path) -> None:
    frame = KittiDrive(shared / 'data' / 'kitti_drive_0926')[2]
    assert frame.depth_m is not None
    alone, _ = StereoLabels(tmp_path, None)('frame', frame.left, frame.right, frame.rig)
    taught, _ = StereoLabels(tmp_path)('frame', frame.left, frame.right, frame.rig)
    for depth_m in (alone, taught):
        both = (depth_m > 0) & (frame.depth_m > 0)
        relative = np.abs(depth_m[both] / frame.depth_m[both] - 1)
        assert np.median(relative) < 0.03
    assert (taught > 0).mean() > (alone > 0).mean() + 0.05
