# SPDX-License-Identifier: Apache-2.0
"""Recorded pairs: labels move with the crop, and a worse right camera does not move them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_nodes.datasets.samples import StereoPair
from perception_nodes.training.recorded_pairs import (
    LabelledPair,
    consensus_pair,
    disturbed,
    measured_pairs,
    pair_example,
)
from perception_nodes.types import Camera, Image, PerceptionError, StereoRig

HEIGHT, WIDTH, SHIFT = 120, 320, 12


def textured() -> tuple[np.ndarray, np.ndarray]:
    """Left and right image uint8 [H, W] of a wall SHIFT px away."""
    noise = np.random.default_rng(3).normal(128, 60, (HEIGHT, WIDTH + SHIFT))
    wide = cv2.GaussianBlur(noise, (0, 0), 1.2) * 2 - 128
    wide = wide.clip(0, 255).astype(np.uint8)
    return wide[:, :WIDTH].copy(), wide[:, SHIFT:].copy()


@pytest.fixture(scope='module')
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledPair:
    """Label the wall by consensus."""
    left, right = (Image(image) for image in textured())
    return consensus_pair(left, right, tmp_path_factory.mktemp('kept') / 'pair.npz')


def test_consensus_finds_the_wall_and_is_kept(labelled: LabelledPair, tmp_path: Path):
    known = labelled.weight > 0
    assert known[:, 2 * SHIFT:].mean() > 0.9
    off = np.abs(labelled.disparity_px[known].astype(float) - SHIFT)
    assert off.max() <= 1 and off.mean() < 0.2
    kept = tmp_path / 'pair.npz'
    left, right = (Image(image) for image in textured())
    consensus_pair(left, right, kept)
    other = consensus_pair(right, left, kept)  # from the file, whatever the images
    assert np.array_equal(other.disparity_px, labelled.disparity_px)


def test_crops_scale_their_disparity(labelled: LabelledPair):
    rng = np.random.default_rng(0)
    for _ in range(6):
        sample = pair_example(rng, [labelled], (64, 160), (0.8, 1.6))
        assert sample['left'].shape == sample['right'].shape == (64, 160, 3)
        weight, disparity = sample['weight'][0], sample['disparity_px'][0]
        shift = float(np.median(disparity[weight > 0.5]))
        assert 0.7 * SHIFT < shift < 1.9 * SHIFT
        # The right image holds the left one's columns so much further left.
        moved = np.roll(sample['right'].astype(float), round(shift), 1)
        inside = (slice(None), slice(40, None))
        off = np.abs(sample['left'].astype(float) - moved)[inside].mean()
        assert off < np.abs(sample['left'].astype(float) - sample['right'])[inside].mean()
        assert weight[:, : int(shift)].max() <= 0.31  # beyond the left edge of the right image


def test_measured_pairs_count_what_one_camera_sees_less():
    disparity = np.full((HEIGHT, WIDTH), 7.0, np.float32)
    disparity[0] = np.nan
    visible = np.ones((HEIGHT, WIDTH), bool)
    visible[:, :20] = False
    left, right = (Image(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)) for image in textured())
    camera = Camera.pinhole(WIDTH, HEIGHT, 300, 300, 160, 60)
    rig = StereoRig(camera, Camera.pinhole(WIDTH, HEIGHT, 300, 300, 160, 60, baseline_m=0.1))
    sample = StereoPair('wall', left, right, rig, disparity, visible)
    (pair,) = measured_pairs([sample])
    assert pair.weight[0].max() == 0 and (pair.disparity_px[0] == 0).all()
    assert np.allclose(pair.weight[1:, :20], 0.3, atol=1e-3) and (pair.weight[1:, 20:] == 1).all()


def test_labels_of_another_size_are_refused():
    left, right = textured()
    with pytest.raises(PerceptionError, match='different sizes'):
        LabelledPair(left, right, np.zeros((4, 4), np.float16), np.zeros((4, 4), np.float16))


def test_a_worse_right_camera_keeps_the_truth_and_hides_what_it_covers(labelled: LabelledPair):
    rng = np.random.default_rng(1)
    darker = covered = moved = 0
    for _ in range(60):
        sample = pair_example(rng, [labelled], (64, 160), (1.0, 1.2))
        worse = disturbed(rng, sample)
        assert worse['left'] is sample['left']
        assert worse['disparity_px'] is sample['disparity_px']
        assert (worse['weight'] <= sample['weight'] + 1e-6).all()
        darker += worse['right'].mean() < 0.85 * sample['right'].mean()
        covered += not np.array_equal(worse['weight'], sample['weight'])
        moved += not np.array_equal(worse['right'], sample['right'])
    assert darker >= 3 and covered >= 5 and 20 <= moved < 55
