# SPDX-License-Identifier: Apache-2.0
"""Depth from disparity: known answers, and every reason to be NaN."""

import numpy as np
import pytest

from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, StereoDepthPipeline
from perception_nodes.types import PerceptionError


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
