# SPDX-License-Identifier: Apache-2.0
"""Views under known homographies: what is said to be one point looks like one point."""

import cv2
import numpy as np
import pytest
import torch

from perception_nodes.training.feature_batches import (
    CELL,
    FeatureBatches,
    cells_of,
    drawn_shapes,
    found_again,
    moved,
    random_view,
    view,
)
from perception_nodes.training.place_batches import PlaceBatches
from perception_nodes.training.segmentation_batches import Scene


@pytest.fixture(scope='module')
def images() -> list[np.ndarray]:
    """Three drawn images."""
    rng = np.random.default_rng(0)
    return [drawn_shapes(rng, (150, 200)) for _ in range(3)]


def test_points_of_a_pair_show_the_same_colour(images) -> None:
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(images[0], (0, 0), 3)
    size = (96, 128)
    zero, one = (random_view(rng, image.shape[:2], size) for _ in range(2))
    seen = [view(image, homography, size).astype(float) for homography in (zero, one)]
    points = rng.uniform(10, [118, 86], (200, 2))
    there = moved(points, one @ np.linalg.inv(zero))
    inside = ((there > 8) & (there < [120, 88])).all(1)
    inside &= ((moved(points, np.linalg.inv(zero)) > 5)
               & (moved(points, np.linalg.inv(zero)) < [195, 145])).all(1)
    assert inside.sum() > 30
    first, second = np.rint(points[inside]).astype(int), np.rint(there[inside]).astype(int)
    gap = np.abs(seen[0][first[:, 1], first[:, 0]] - seen[1][second[:, 1], second[:, 0]])
    assert np.median(gap) < 4


def test_cells_hold_the_strongest_keypoint() -> None:
    cells = cells_of(np.array([[9.0, 2.0], [10.0, 3.0], [0.0, 8.0]]), (16, 16))
    assert cells.tolist() == [[CELL**2, 2 * 8 + 1], [0, CELL**2]]


def test_corners_count_only_if_found_again() -> None:
    shift = np.array([[1, 0, 5.0], [0, 1, 0], [0, 0, 1]])
    points = np.array([[10.0, 10.0], [30.0, 10.0]])
    others = np.array([[15.5, 10.0], [90.0, 90.0]])
    assert found_again(points, others, shift).tolist() == [[10.0, 10.0]]
    assert found_again(points, np.zeros((0, 2)), shift).shape == (0, 2)


def test_a_feature_batch_depends_on_seed_and_step_alone(images) -> None:
    first, again = (FeatureBatches(images, (64, 96), 2, seed=3) for _ in range(2))
    again.batch(0)
    one, two = first.batch(5), again.batch(5)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one['image0'], first.batch(6)['image0'])
    assert one['image0'].shape == (2, 3, 64, 96) and one['cells1'].shape == (2, 8, 12)


def test_place_batches_bar_neighbours_as_negatives() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 80), np.uint8)
    scenes = [
        Scene(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), labels, 'drive')
        for _ in range(12)
    ]
    batch = PlaceBatches(scenes, (32, 48), batch_size=12).batch(0)
    assert batch['anchor'].shape == batch['positive'].shape == (12, 3, 32, 48)
    excluded = batch['excluded']
    assert not excluded.diagonal().any() and torch.equal(excluded, excluded.T)
    # Of 12 images in a row, each has between 4 and 8 within four places.
    assert excluded.sum(1).min() == 4 and excluded.sum(1).max() == 8
