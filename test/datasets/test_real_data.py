# SPDX-License-Identifier: Apache-2.0
"""Readers on the real data, where it is there: sizes, ranges and what its README promises."""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.geometry.warp import warp_by_flow


def test_camvid(shared: Path) -> None:
    root = shared / 'data' / 'camvid'
    assert (len(CamVid(root, 'train')), len(CamVid(root, 'val'))) == (367, 101)
    sample = CamVid(root, 'val')[50]
    assert sample.image.data.shape == (360, 480, 3)
    assert set(np.unique(sample.labels)) <= {*range(11), 255}


def test_kitti(shared: Path) -> None:
    pairs = KittiStereo(shared / 'data' / 'kitti_stereo_2015')
    assert len(pairs) == 15
    pair = pairs[0]
    assert 0.15 < pair.visible.mean() < 0.25
    assert 1.0 < np.nanmin(pair.disparity_px) < np.nanmax(pair.disparity_px) < 200.0
    depth = KittiDepth(shared / 'data' / 'kitti_depth')
    assert len(depth) == 10
    assert 0.02 < np.isfinite(depth[0].depth_m).mean() < 0.05
    assert np.nanmax(depth[0].depth_m) < 100.0


def test_middlebury_truth_explains_the_images(shared: Path) -> None:
    """Warping the other image by the truth must look far more like the first one."""
    names = [pair.name for pair in MiddleburyStereo(shared / 'data' / 'middlebury_stereo')]
    assert {'cones', 'tsukuba'} <= set(names)
    pairs = MiddleburyFlow(shared / 'data' / 'middlebury_flow')
    assert len(pairs) == 4
    for pair in pairs:
        warped = warp_by_flow(pair.second.data, -pair.forward_flow_px)
        first = pair.first.data.astype(np.float32)
        still = np.nanmean(np.abs(pair.second.data - first)[np.isfinite(warped)])
        assert np.nanmean(np.abs(warped - first)) < 0.6 * still


def test_walks(shared: Path) -> None:
    frames = SevenScenes(shared / 'data' / 'seven_scenes_redkitchen')
    assert len(frames) == 40
    assert 1.0 < np.nanmedian(frames[0].depth_m) < 3.0
    walk = LoopMatrix(shared / 'data' / 'rtabmap_corridor')
    assert len(walk) == 84
    assert walk.same_place[40, 0]
    assert not walk.same_place[10, :10].any()
