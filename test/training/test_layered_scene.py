# SPDX-License-Identifier: Apache-2.0
"""Folded streets: the shape of a made-up street, and pairs that match exactly."""

import cv2
import numpy as np
import pytest

from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    add_blobs,
    crop,
    depth_example,
    mixed,
    motion_example,
    stereo_example,
)
from perception_nodes.training.layered_scene import fold, other_view
from perception_nodes.training.scene_motion import scene_motion

HEIGHT, WIDTH, HORIZON = 120, 160, 50


@pytest.fixture(scope='module')
def street() -> tuple[np.ndarray, np.ndarray]:
    """Sky, a building on the left whose foot is at row 70, road, a car with its wheels at 90."""
    labels = np.full((HEIGHT, WIDTH), 3, np.uint8)
    labels[:HORIZON + 4] = 0
    labels[20:71, :40] = 1
    labels[75:91, 80:110] = 8
    labels[60:64, 130:140] = 255  # a gap in the road
    noise = np.random.default_rng(0).normal(128, 60, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8), labels


def test_the_ground_is_a_plane_and_things_stand_where_they_touch_it(street):
    folded = fold(*street)
    assert folded.horizon == HORIZON
    road = folded.rows[100:, 120:]
    assert np.allclose(road, np.arange(50, 70)[:, None])
    assert np.allclose(folded.rows[30:70, 5:35], 70 - HORIZON, atol=0.5)
    assert np.allclose(folded.rows[75:91, 80:110], 90 - HORIZON, atol=1)
    assert (folded.rows[:40, 60:] == 0).all()
    assert np.allclose(folded.rows[61, 130:140], 11)  # the gap became road
    assert (folded.piece[75:91, 80:110] == 1).all() and (folded.piece[:70] == 0).all()


def test_a_image_without_ground_or_labels_folds_too(street):
    image, labels = street
    for other in (np.zeros_like(labels), np.full_like(labels, 255), np.full_like(labels, 8)):
        assert np.isfinite(fold(image, other).rows).all()


def test_the_other_view_shows_every_seen_pixel_where_it_was_sent(street):
    """Sampling the other view at ``p - shift(p)`` gives the image back, where it is seen."""
    folded = fold(*street)
    image = cv2.GaussianBlur(folded.image, (0, 0), 2)
    shift = np.stack([folded.rows * 0.31, 0.02 * folded.rows], -1)
    other, seen = other_view(image, shift, folded.rows, np.zeros_like(image))
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    back = cv2.remap(other, x - shift[..., 0], y - shift[..., 1], cv2.INTER_LINEAR)
    inner = cv2.erode(seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    error = np.abs(back.astype(float) - image).mean(2)
    assert inner.mean() > 0.6
    assert np.median(error[inner]) < 1.5 and np.percentile(error[inner], 95) < 8
    # the car moves further than the road behind it and hides some of it; the left edge leaves
    assert not seen[100:, :10].any()
    assert not seen[80, 72:78].all() and seen[80, 85:105].all()


def test_nothing_moves_without_a_shift(street):
    image = street[0]
    still = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    near = np.ones((HEIGHT, WIDTH), np.float32)
    other, seen = other_view(image, still, near, np.zeros_like(image))
    assert np.abs(other.astype(int) - image).max() <= 1 and seen.all()


def test_crops_of_any_scale_keep_the_ground_a_plane_under_the_horizon(street):
    folded, evaluated = fold(*street), 0
    for seed in range(12):
        part = crop(np.random.default_rng(seed), folded, (64, 96), (1.0, 2.5))
        under = np.arange(64)[:, None] - part.horizon
        ground = np.abs(part.rows - under) < 12  # roll and aspect tilt it a little
        if part.horizon < 30:
            assert ground[-16:].mean() > 0.5
            assert abs(np.median((part.rows - under)[-16:])) < 9
            evaluated += 1
    assert evaluated >= 3


def test_blobs_are_pieces_of_their_own(street):
    folded = fold(*street)
    hung = add_blobs(np.random.default_rng(1), folded, folded.image[::-1], 6)
    new = hung.piece > folded.piece.max()
    assert new.any() and (hung.rows[new] > 0).all()
    assert (hung.image[~new] == folded.image[~new]).all()


def test_far_things_of_a_driven_scene_move_least(street):
    folded = fold(*street)
    lengths = []
    for seed in range(40):
        flow = scene_motion(np.random.default_rng(seed), folded)
        assert np.isfinite(flow).all()
        lengths.append([np.linalg.norm(flow[y, 140]) for y in (30, 118)])
    sky, ground = np.median(lengths, axis=0)
    assert ground > sky


def test_batches_repeat_and_differ(street):
    images = Images([fold(*street)], (64, 96))

    def stereo(rng):
        return stereo_example(rng, images)

    batches = DenseBatches(stereo, 2, seed=5)
    one, again, other = batches.batch(3), batches.batch(3), batches.batch(4)
    assert all((one[key] == again[key]).all() for key in one)
    assert (one['left'] != other['left']).any()
    assert one['left'].shape == (2, 3, 64, 96) and one['disparity_px'].shape == (2, 1, 64, 96)
    assert one['left'].min() >= 0 and one['left'].max() <= 1
    assert (one['disparity_px'] >= 0).all()


def test_every_example_has_what_its_loss_takes(street):
    images, rng = Images([fold(*street)], (64, 96)), np.random.default_rng(0)
    motion = motion_example(rng, images)
    assert motion['flow_px'].shape == (2, 64, 96) and motion['flow_px'].dtype == np.float32
    depth = depth_example(rng, images)
    assert depth['log_depth'].shape == (1, 64, 96) and np.isfinite(depth['log_depth']).all()
    assert depth['log_depth'].max() <= np.log(150) + 1e-5


def test_mixed_sources_come_as_often_as_told():
    def one(rng):
        return {'x': np.zeros(1, np.float32)}

    def two(rng):
        return {'x': np.ones(1, np.float32)}

    rng = np.random.default_rng(0)
    drawn = [mixed({one: 3, two: 1})(rng)['x'][0] for _ in range(400)]
    assert 0.18 < np.mean(drawn) < 0.32
