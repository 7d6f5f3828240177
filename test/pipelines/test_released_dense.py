# SPDX-License-Identifier: Apache-2.0
"""The released stereo, flow and mono models behind their pipelines: known and real images."""

import cv2
import numpy as np
import pytest

from perception_nodes.inference.models import model_path
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig
from perception_nodes.simulation.layers import random_motion_pair
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig


def released(task: str, **config: object) -> object:
    """Build the pipeline of a released model; skip where there is none yet."""
    try:
        model_path(task)
    except PerceptionError as error:
        pytest.skip(str(error))
    return build_pipeline(task, threads=1, **config)


def rig_of(image: Image) -> StereoRig:
    width, height = image.width, image.height
    lens = {'fx': 0.9 * width, 'fy': 0.9 * width, 'cx': width / 2, 'cy': height / 2}
    return StereoRig(
        Camera.pinhole(width, height, **lens),
        Camera.pinhole(width, height, **lens, baseline_m=0.5),
    )


def ground_pair(height: int = 256, width: int = 448) -> tuple[Image, Image, np.ndarray]:
    """Make a wall and the textured ground before it: 6 px, then up to 40 px at the bottom."""
    rng = np.random.default_rng(0)
    right = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((8, 40), (32, 40), (128, 30)):
        coarse = rng.normal(0, strength, (cells, 2 * cells, 3)).astype(np.float32)
        right += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    right = np.clip(right + 120, 0, 255).astype(np.uint8)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    disparity = np.maximum(6.0, 40.0 * (2 * y / height - 1)).astype(np.float32)
    left = cv2.remap(right, x - disparity, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return Image(left), Image(right), disparity


def test_stereo_measures_ground_and_wall_and_knows_its_error():
    pipeline = released('stereo_depth', config=StereoDepthConfig(max_relative_sigma=np.inf))
    left, right, truth = ground_pair()
    depth = pipeline(left, right, rig_of(left))
    error = np.abs(depth.disparity_px - truth)[:, 48:]
    assert np.nanmedian(error) < 1.0 and np.nanmean(error > 3) < 0.1
    inside = error <= 2 * depth.disparity_sigma_px[:, 48:]
    assert 0.6 < inside[np.isfinite(error)].mean() <= 1


def test_disparity_scales_with_the_image():
    """The same pair at another size has another disparity, whatever size the net works at."""
    pipeline = released('stereo_depth')
    left, right, truth = ground_pair()
    for factor in (0.75, 2, 3):
        bigger = [Image(cv2.resize(one.data, None, fx=factor, fy=factor)) for one in (left, right)]
        found = pipeline(*bigger, rig_of(bigger[0])).disparity_px
        assert found.shape == bigger[0].data.shape[:2]
        wanted = cv2.resize(truth, found.shape[::-1]) * factor
        assert np.nanmedian(np.abs(found - wanted)[:, round(48 * factor):]) < 1.5 * factor


def test_flow_finds_a_shift_and_its_direction():
    pipeline = released('optical_flow')
    rng = np.random.default_rng(3)
    pair = random_motion_pair(rng, 256, 400, 1e-3, photometric=0.0)
    wide = pair.image1
    older, newest = wide[4:-4, 8:-8], wide[2:-6, 14:-2]  # content moves 6 px left, 2 px down
    assert pipeline(Image(np.ascontiguousarray(older), 1)) is None
    flow = pipeline(Image(np.ascontiguousarray(newest), 2))
    inner = flow.flow_px[30:-30, 30:-30].reshape(-1, 2)
    assert np.allclose(np.nanmedian(inner, axis=0), [-6.0, 2.0], atol=1.0)


def test_mono_depth_is_farther_up_the_road_and_scales_with_the_lens(shared):
    from perception_nodes.datasets.kitti_depth import KittiDepth

    pipeline = released('mono_depth')
    sample = KittiDepth(shared / 'data' / 'kitti_depth')[0]
    depth = pipeline(sample.image, sample.camera)
    height = sample.image.height
    rows = [np.nanmedian(depth.depth_m[int(share * height)]) for share in (0.6, 0.75, 0.95)]
    assert rows[0] > rows[1] > rows[2] > 0
    camera = sample.camera
    longer = Camera(
        camera.width, camera.height, camera.k * [[2], [2], [1]], camera.p * [[2], [2], [1]]
    )
    ratio = pipeline(sample.image, longer).depth_m / depth.depth_m
    assert np.nanmedian(ratio) == pytest.approx(2.0, rel=1e-3)


def test_mono_depth_is_metric_in_a_street_and_in_a_room_that_it_has_not_seen(shared):
    from perception_nodes.datasets.hololens_office import HololensOffice
    from perception_nodes.datasets.kitti_drive import KittiDrive

    pipeline = released('mono_depth')
    street = KittiDrive(shared / 'data' / 'kitti_drive_0926', 'held_out')
    room = HololensOffice(shared / 'data' / 'hololens_office', 'held_out')
    frames = [street[number] for number in street.with_depth()[::5]]
    views = [(frame.left, frame.rig.left, frame.depth_m) for frame in frames]
    views += [(frame.image, frame.camera, frame.depth_m) for frame in room[::10]]
    for image, camera, truth_m in views:
        relative = np.abs(pipeline(image, camera).depth_m / truth_m - 1)
        assert np.nanmedian(relative) < 0.5
    assert len(views) == 8


def test_stereo_on_kitti_is_much_better_than_a_guess(shared):
    from perception_nodes.datasets.kitti_stereo import KittiStereo

    pipeline = released('stereo_depth')
    pair = KittiStereo(shared / 'data' / 'kitti_stereo_2015')[0]
    depth = pipeline(pair.left, pair.right, pair.rig)
    error = np.abs(depth.disparity_px - pair.disparity_px)[np.isfinite(pair.disparity_px)]
    assert np.nanmean((error > 3) & np.isfinite(error)) < 0.25
