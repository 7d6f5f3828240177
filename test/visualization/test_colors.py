# SPDX-License-Identifier: Apache-2.0
"""Colours that mean what they are said to mean."""

import numpy as np
import pytest

from perception_nodes.types import Image, Segmentation
from perception_nodes.visualization.colors import (
    class_color,
    class_palette,
    color_wheel,
    depth_color,
    flow_color,
    overlay,
    sigma_color,
)


def _flow(*vectors: tuple[float, float]) -> np.ndarray:
    return np.array([vectors], np.float32)


def test_the_wheel_has_the_hues_of_the_paper() -> None:
    """55 hues: RY 15, YG 6, GC 4, CB 11, BM 13, MR 6."""
    wheel = color_wheel()
    assert wheel.shape == (55, 3)
    corners = np.cumsum([0, 15, 6, 4, 11, 13])
    np.testing.assert_array_equal(
        wheel[corners],
        [[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255]],
    )


def test_directions_have_their_hues() -> None:
    """Red to the right; downwards yellow, left blue-cyan, upwards magenta-blue as in the paper."""
    image = flow_color(_flow((9, 0), (0, 9), (-9, 0), (0, -9)), longest_px=9.0)
    right, down, left, up = (tuple(int(c) for c in colour) for colour in image[0])
    assert right == (255, 0, 0)
    assert down[0] > 200 and down[1] > 200 and down[2] == 0
    assert left[0] == 0 and left[2] == 255 and left[1] > 100
    assert up[2] == 255 and up[1] == 0 and up[0] > 50


def test_length_is_saturation() -> None:
    image = flow_color(_flow((0, 0), (2, 0), (4, 0), (8, 0)), longest_px=4.0)[0]
    np.testing.assert_allclose(
        image, [[255, 255, 255], [255, 128, 128], [255, 0, 0], [191, 0, 0]], atol=1
    )


def test_invalid_is_black() -> None:
    nan = np.nan
    assert not flow_color(_flow((nan, 1), (1, 1)))[0, 0].any()
    assert not flow_color(_flow((nan, nan))).any()
    for colour, unknown in ((depth_color, 0), (sigma_color, 128)):  # in a sigma black is sure
        assert (colour(np.array([[nan, 1.0, 2.0]]))[0, 0] == unknown).all()
        assert (colour(np.array([[nan, nan]])) == unknown).all()


def test_near_is_red_and_far_is_blue() -> None:
    near, far = depth_color(np.array([[2.0, 80.0]]), near_m=2.0, far_m=80.0)[0].astype(int)
    assert near[0] > 100 > near[2]
    assert far[2] > far[0]
    flat = depth_color(np.full((3, 3), 5.0))
    assert (flat == flat[0, 0]).all()


def test_sure_is_dark() -> None:
    levels = sigma_color(np.array([[0.0, 0.5, 1.0, 3.0]]), highest=1.0)[0].sum(axis=-1)
    assert levels[0] < levels[1] < levels[2] == levels[3]


def test_classes_have_colours_that_differ() -> None:
    palette = class_palette(20)
    assert len(set(palette)) == 20
    np.testing.assert_array_equal(
        class_color(np.array([[0, 1, 255]], np.uint8), ((1, 2, 3), (4, 5, 6))),
        [[[1, 2, 3], [4, 5, 6], [0, 0, 0]]],
    )


@pytest.mark.parametrize('mono', [False, True])
def test_overlay_mixes_and_leaves_the_unlabelled(mono: bool) -> None:
    base = np.full((1, 2) if mono else (1, 2, 3), 100, np.uint8)
    one = np.ones((1, 2), np.float32)
    mask = Segmentation(0, '', np.array([[0, 255]], np.uint8), one, one)
    image = overlay(Image(base), mask, ((200, 0, 50),))
    np.testing.assert_array_equal(image, [[[150, 50, 75], [100, 100, 100]]])
