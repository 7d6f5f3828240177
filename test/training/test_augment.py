# SPDX-License-Identifier: Apache-2.0
"""Changes of images keep what they must keep."""

import numpy as np
import pytest

from perception_nodes.training.augment import (
    colour_matrix,
    random_appearance,
    random_crop_transform,
    tone_curve,
    warp_image,
    warp_labels,
)
from perception_nodes.training.segmentation_batches import focus_points, paste_objects


@pytest.mark.parametrize('seed', range(8))
def test_image_and_labels_move_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((90, 120), np.uint8)
    labels[30:60, 40:80] = 5
    image = np.repeat(labels[..., None] * 40, 3, 2)
    transform = random_crop_transform(rng, labels.shape, (64, 96), (0.7, 1.8), (60.0, 45.0))
    moved = warp_labels(labels, transform, (64, 96))
    picture = warp_image(image, transform, (64, 96))
    assert (moved == 5).any(), 'the focus is in the crop'
    known = moved != 255
    differing = (picture[..., 0] > 100) != (moved == 5)
    assert differing[known].mean() < 0.06, 'only at the edges'


def test_outside_of_the_image_is_unlabelled() -> None:
    rng = np.random.default_rng(0)
    transform = random_crop_transform(rng, (40, 40), (80, 80), (1.0, 1.0))
    moved = warp_labels(np.zeros((40, 40), np.uint8), transform, (80, 80))
    assert 0.2 < (moved == 0).mean() < 0.3
    assert set(np.unique(moved)) == {0, 255}


def test_appearance_repeats_with_the_seed_and_changes_without_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    first, again, other = (random_appearance(np.random.default_rng(s), image) for s in (3, 3, 4))
    assert first.dtype == np.uint8 and first.shape == image.shape
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_strength_is_no_change_of_colour_or_tone() -> None:
    rng = np.random.default_rng(0)
    assert np.allclose(colour_matrix(rng, 0.0), np.eye(3), atol=1e-6)
    assert np.abs(tone_curve(rng, 0.0).astype(int) - np.arange(256)).max() <= 1


def test_pasted_objects_bring_their_labels() -> None:
    rng = np.random.default_rng(0)
    onto = (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))
    source = (np.full((4, 4, 3), 9, np.uint8), np.full((4, 4), 3, np.uint8))
    source[1][1, 2] = 10
    image, labels = paste_objects(onto, source, (2, 10), rng)
    assert labels[1, 2] == 10 and image[1, 2, 0] == 9
    assert labels.sum() == 10 and image.sum() == 27
    assert paste_objects(onto, source, (2,), rng) is onto


def test_focus_points_lie_on_their_class() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[3, 7], labels[10:12, 20:25] = 2, 9
    points = focus_points(labels, (2, 6, 9), np.random.default_rng(0))
    assert len(points) == 2
    assert {tuple(point) for point in points[0]} == {(7, 3)}
    assert all(labels[y, x] == 9 for x, y in points[1])
