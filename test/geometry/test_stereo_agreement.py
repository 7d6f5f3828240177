# SPDX-License-Identifier: Apache-2.0
"""Two images that do not look alike contradict a disparity; a darker camera does not."""

import cv2
import numpy as np
import pytest

from perception_nodes.geometry.stereo_agreement import contradicted

HEIGHT, WIDTH, SHIFT = 128, 256, 12


@pytest.fixture(scope='module')
def wall() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.uniform(40, 200, (HEIGHT // 4, (WIDTH + 64) // 4)).astype(np.float32)
    return cv2.resize(coarse, (WIDTH + 64, HEIGHT)).astype(np.uint8)


def pair(wall: np.ndarray, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    right = wall[:, SHIFT : SHIFT + WIDTH] * gain
    return wall[:, :WIDTH].copy(), right.astype(np.uint8)


def claim(shift: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), shift, np.float32)


def test_the_true_shift_is_never_contradicted_whatever_the_gain(wall: np.ndarray) -> None:
    for gain in (1.0, 0.8, 0.5):
        assert not contradicted(*pair(wall, gain), claim(SHIFT))[:, 24:].any()


def test_a_wrong_shift_is_contradicted_where_it_is_wrong(wall: np.ndarray) -> None:
    shift = claim(SHIFT)
    shift[:, 140:] = 60.0
    wrong = contradicted(*pair(wall), shift)
    assert wrong[:, 170:].mean() > 0.95 and not wrong[:, 24:110].any()


def test_flat_and_unknown_regions_and_tiny_images_are_left_alone(wall: np.ndarray) -> None:
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    assert not contradicted(flat, flat, claim(40.0)).any()
    assert not contradicted(*pair(wall), claim(np.nan)).any()
    left, right = pair(wall)
    tiny = np.s_[:40, :200]
    assert not contradicted(left[tiny], right[tiny], claim(60.0)[tiny]).any()


def test_odd_sizes_are_answered_at_their_size(wall: np.ndarray) -> None:
    odd = np.s_[:101, :203]
    left, right = (image[odd] for image in pair(wall))
    assert contradicted(left, right, claim(60.0)[odd]).shape == (101, 203)
