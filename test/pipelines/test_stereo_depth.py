# SPDX-License-Identifier: Apache-2.0
"""Depth from disparity: known answers, and every reason to be NaN."""

import cv2
import numpy as np
import pytest

from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, StereoDepthPipeline
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig


def pipeline(memory_runner, disparity, sigma, **config):
    answer = {'disparity_px': disparity[None], 'sigma_px': sigma[None]}
    runner = memory_runner('stereo_depth', lambda inputs: answer)
    return StereoDepthPipeline(runner, StereoDepthConfig(**config))


def test_depth_and_sigma_of_a_known_disparity(memory_runner, image, rig):
    disparity = np.full((16, 24), 4.0, np.float32)
    stereo = pipeline(memory_runner, disparity, np.full_like(disparity, 0.2))
    left, right = image(7), image(7, seed=1)
    depth = stereo(left, right, rig)
    # z = 20 * 0.5 / 4 = 2.5 m; sigma = z^2 / (f b) * 0.2 = 0.125 m
    assert np.allclose(depth.depth_m[:, 4:], 2.5)
    assert np.allclose(depth.sigma_m[:, 4:], 0.125)
    assert np.allclose(depth.disparity_px[:, 4:], 4.0)
    assert (depth.stamp_ns, depth.frame_id, depth.baseline_m) == (7, 'left', 0.5)
    assert depth.camera is rig.left
    assert (stereo.runner.inputs[0]['left'][0] == left.data).all()
    assert (stereo.runner.inputs[0]['right'][0] == right.data).all()
    # columns 0..3 would have their partner left of the right image
    for array in (depth.depth_m, depth.sigma_m, depth.disparity_px, depth.disparity_sigma_px):
        assert np.isnan(array[:, :4]).all() and not np.isnan(array[:, 4:]).any()
        assert array.dtype == np.float32


def test_out_of_range_and_too_uncertain_depth_is_nan_and_its_disparity_stays(
    memory_runner, image, rig
):
    disparity = np.full((16, 24), 2.0, np.float32)
    sigma = np.full_like(disparity, 0.2)
    disparity[0], disparity[1], disparity[2] = 0.0, 0.5, 10.0
    sigma[3] = 0.9
    depth = pipeline(memory_runner, disparity, sigma, min_depth_m=2, max_depth_m=10,
                     max_relative_sigma=0.4)(image(), image(), rig)
    assert np.isnan(depth.depth_m[:4]).all() and np.isnan(depth.sigma_m[:4]).all()
    assert np.allclose(depth.depth_m[4:, 2:], 5.0)
    assert np.allclose(depth.disparity_px[:4, 10:], disparity[:4, 10:])


def test_nan_of_the_model_stays_nan(memory_runner, image, rig):
    disparity = np.full((16, 24), 2.0, np.float32)
    disparity[5, 9] = np.nan
    depth = pipeline(memory_runner, disparity, np.full_like(disparity, 0.1))(image(), image(), rig)
    assert np.isnan(depth.depth_m[5, 9]) and np.isnan(depth.disparity_sigma_px[5, 9])
    assert np.isfinite(depth.depth_m[5, 10])


def test_no_pair_is_refused(memory_runner, image, rig):
    ones = np.ones((16, 24), np.float32)
    stereo = pipeline(memory_runner, ones, ones)
    with pytest.raises(PerceptionError, match='left is 24x16 but right is 20x16'):
        stereo(image(), image(width=20), rig)
    with pytest.raises(PerceptionError, match='left image is 20x16 but its camera_info says 24'):
        stereo(image(width=20), image(width=20), rig)


@pytest.mark.parametrize('wrong', [
    {'min_depth_m': -1}, {'min_depth_m': 90}, {'max_depth_m': 0}, {'max_relative_sigma': 0},
    {'max_depth_m': float('nan')},
])
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(PerceptionError, match='must lie between'):
        StereoDepthConfig(**wrong)


def wide_rig(cx_gap_px=0.0, width=320, height=96):
    size = {'width': width, 'height': height, 'fx': 100.0, 'fy': 100.0, 'cy': 47.5}
    return StereoRig(
        Camera.pinhole(**size, cx=159.5),
        Camera.pinhole(**size, cx=159.5 - cx_gap_px, baseline_m=0.12),
    )


def textured(seed=0, width=480, height=96):
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 3, width // 3))
    return cv2.resize(coarse.astype(np.float32), (width, height)).astype(np.uint8)


def best_shift(inputs):
    """Answer with the one shift that all of the pair agrees on, as a matcher would."""
    left, right = (inputs[side][0, :, :, 0].astype(np.float32) for side in ('left', 'right'))
    miss = [np.abs(left[:, 64:] - right[:, 64 - d : right.shape[1] - d]).mean() for d in range(48)]
    shape = left.shape
    return {
        'disparity_px': np.full((1, *shape), np.argmin(miss), np.float32),
        'sigma_px': np.full((1, *shape), 0.1, np.float32),
    }


@pytest.mark.parametrize('gap', [0, 6, 6.25, -9])
def test_depth_does_not_change_with_the_principal_points(memory_runner, gap):
    """The right image is cut further to the right, its principal point moves with it."""
    wall, rig, disparity = textured(), wide_rig(gap), 8
    cut = 40 + disparity + int(gap)
    left, right = (Image(wall[:, start : start + 320].copy()) for start in (40, cut))
    stereo = StereoDepthPipeline(memory_runner('stereo_depth', best_shift))
    depth = stereo(left, right, rig)
    assert rig.cx_gap_px == gap
    fraction = gap - int(gap)
    assert np.nanmedian(depth.disparity_px) == pytest.approx(disparity - fraction, abs=1e-4)
    assert np.nanmedian(depth.depth_m) == pytest.approx(12 / (disparity - fraction), rel=1e-4)
    seen = np.isfinite(depth.disparity_px)
    there = np.arange(320) - (disparity - fraction) - gap
    assert (seen == ((there >= 0) & (there <= 319))).all()


def test_nearer_than_the_range_the_sigma_covers_it_and_depth_is_nan(memory_runner):
    def too_far(inputs):  # a matcher that ends at 30 px finds something under that
        shape = inputs['left'].shape[1:3]
        return {
            'disparity_px': np.full((1, *shape), 22.0, np.float32),
            'sigma_px': np.full((1, *shape), 0.2, np.float32),
        }

    wall, rig = textured(), wide_rig()
    left, right = (Image(wall[:, start : start + 320].copy()) for start in (0, 60))
    runner = memory_runner('stereo_depth', too_far, calibration={'max_disparity_px': 30.0})
    inner = np.s_[10:-10, 90:-30]
    stereo = StereoDepthPipeline(runner)
    depth = stereo(left, right, rig)
    assert np.isnan(depth.depth_m[inner]).mean() > 0.99
    assert (depth.disparity_sigma_px[inner] >= 30).mean() > 0.99
    assert stereo.nearest_m == stereo.nearest_depth_m(rig) == pytest.approx(100 * 0.12 / 30)
    # With a network that works at a quarter of the area the range is twice as many pixels.
    quarter = memory_runner(
        'stereo_depth', too_far, calibration={'max_disparity_px': 30.0},
        network_pixels=320 * 96 // 4,
    )
    assert StereoDepthPipeline(quarter).max_disparity_px(320, 96) == pytest.approx(60.0)
    assert StereoDepthPipeline(memory_runner('stereo_depth', too_far)).nearest_depth_m(rig) is None


def test_beyond_its_own_range_no_model_is_believed(memory_runner):
    def answer(inputs):
        shape = inputs['left'].shape[1:3]
        ramp = np.tile(np.linspace(0, 60, shape[1], dtype=np.float32), (shape[0], 1))
        return {'disparity_px': ramp[None], 'sigma_px': np.full((1, *shape), 0.1, np.float32)}

    runner = memory_runner('stereo_depth', answer, calibration={'max_disparity_px': 40.0})
    flat = Image(np.full((96, 320), 90, np.uint8))
    depth = StereoDepthPipeline(runner)(flat, flat, wide_rig())
    beyond = depth.disparity_px > 40
    assert beyond.any() and np.isnan(depth.depth_m[beyond]).all()
    assert np.isfinite(depth.depth_m[(depth.disparity_px > 5) & ~beyond]).all()
