# SPDX-License-Identifier: Apache-2.0
"""Examples cut out of rendered views: targets scale with the images and stay on them."""

import cv2
import numpy as np
import pytest

from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.simulation.cache import CachedSample
from perception_nodes.training.rendered_batches import (
    RenderedViews,
    cut,
    draw_window,
    rendered_depth_example,
    rendered_motion_example,
    rendered_stereo_example,
)

HEIGHT, WIDTH, SIZE = 64, 128, (32, 64)


class OneView:
    """A cache of one view: a plane at 8 px disparity, focal length 100 px, baseline 0.5 m."""

    def __init__(self) -> None:
        self.reads = 0

    def __getitem__(self, index: int) -> CachedSample:
        self.reads += 1
        rng = np.random.default_rng(index)
        noise = rng.normal(128, 60, (HEIGHT, WIDTH + 8, 3)).astype(np.float32)
        wide = np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
        flow = np.full((HEIGHT, WIDTH, 2), 2.0, np.float16)
        flow[:, 100:] = np.nan
        return CachedSample(
            left=wide[:, :WIDTH].copy(), right=wide[:, 8:].copy(), older=wide[:, :WIDTH].copy(),
            disparity_px=np.full((HEIGHT, WIDTH), 8, np.float16),
            labels=np.zeros((HEIGHT, WIDTH), np.uint8),
            occluded=np.zeros((HEIGHT, WIDTH), bool), flow_px=flow,
            flow_occluded=np.zeros((HEIGHT, WIDTH), bool),
            k=np.diag([100.0, 100.0, 1.0]), baseline_m=np.array(0.5),
        )


@pytest.fixture
def views() -> RenderedViews:
    return RenderedViews(OneView(), 3)


def test_windows_fit_and_stay_inside():
    corners = np.array([[0, 0, 1], [SIZE[1], SIZE[0], 1]])
    for seed in range(20):
        window = draw_window(np.random.default_rng(seed), (HEIGHT, WIDTH), SIZE)
        back = cv2.invertAffineTransform(window) @ corners.T
        assert (back > -1e-6).all() and (back[:, 1] <= [WIDTH + 1e-6, HEIGHT + 1e-6]).all()


def test_disparity_grows_with_the_image_and_the_left_edge_is_hidden(views):
    for seed in range(5):
        example = rendered_stereo_example(np.random.default_rng(seed), views, SIZE)
        disparity = example['disparity_px'][0]
        assert np.ptp(disparity) == 0 and 8 * 0.69 < disparity[0, 0] < 8 * 1.41
        hidden = example['weight'][0] < 1
        assert hidden[:, :int(disparity[0, 0])].all() and not hidden[:, 12:].any()


def test_flow_that_is_unknown_weighs_nothing(views):
    example = rendered_motion_example(np.random.default_rng(2), views, SIZE)
    assert np.isfinite(example['flow_px']).all()
    unknown = example['weight'][0] == 0
    assert (example['flow_px'][:, unknown] == 0).all()
    assert (example['flow_px'][:, ~unknown] > 1.3).all()


def test_depth_is_that_of_one_lens_at_any_scale(views):
    """Depth is 100 * 0.5 / 8 m through 100 px; a lens s times longer divides it by s."""
    for seed in range(4):
        example = rendered_depth_example(np.random.default_rng(seed), views, SIZE)
        found = float(np.exp(example['log_depth'][0, 5, 5]))
        assert 6.25 * FOCAL_PX / (100 * 1.41) < found < 6.25 * FOCAL_PX / (100 * 0.69)


def test_views_are_unpacked_once(views):
    rng = np.random.default_rng(0)
    for _ in range(30):
        views.draw(rng)
    assert views.cache.reads == 3


def test_cut_to_the_nearest_makes_up_no_value():
    array = np.array([[0, 10], [20, 30]], np.float32)
    window = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]])
    assert set(np.unique(cut(array, window, (4, 4), smooth=False))) <= {0, 10, 20, 30}
