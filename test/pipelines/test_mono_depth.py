# SPDX-License-Identifier: Apache-2.0
"""Depth from one image: what reaches the model and what leaves."""

import numpy as np
import pytest

from perception_nodes.pipelines.mono_depth import MonoDepthConfig, MonoDepthPipeline
from perception_nodes.types import PerceptionError


def by_focal(inputs):
    """Depth = row + 1, times focal / 20; sigma = a tenth."""
    rows = np.arange(1, 17, dtype=np.float32)[:, None] * np.ones((1, 24), np.float32)
    depth = rows * inputs['focal_px'][0] / 20
    return {'depth_m': depth[None], 'sigma_m': depth[None] / 10}


def test_the_model_is_told_the_rectified_focal_length(memory_runner, image, rig):
    mono = MonoDepthPipeline(memory_runner('mono_depth', by_focal))
    depth = mono(image(3, mono=True), rig.left)
    assert mono.runner.inputs[0]['focal_px'].tolist() == [20.0]
    assert mono.runner.inputs[0]['focal_px'].dtype == np.float32
    assert np.allclose(depth.depth_m, np.arange(1, 17)[:, None])
    assert np.allclose(depth.sigma_m, depth.depth_m / 10)
    assert depth.stamp_ns == 3 and depth.disparity_px is None and depth.baseline_m == 0


def test_out_of_range_is_nan(memory_runner, image, rig):
    config = MonoDepthConfig(min_depth_m=3, max_depth_m=10)
    depth = MonoDepthPipeline(memory_runner('mono_depth', by_focal), config)(image(), rig.left)
    assert np.isnan(depth.depth_m[[0, 1, 10, 15]]).all()
    assert np.isnan(depth.sigma_m[[0, 1, 10, 15]]).all()
    assert np.isfinite(depth.depth_m[2:10]).all()


def test_an_image_of_another_size_is_refused(memory_runner, image, rig):
    mono = MonoDepthPipeline(memory_runner('mono_depth', by_focal))
    with pytest.raises(PerceptionError, match='the image is 24x15'):
        mono(image(height=15), rig.left)
