# SPDX-License-Identifier: Apache-2.0
"""Masks: dropout rows, the confidence floor and smoothing over time."""

import numpy as np
import pytest

from perception_nodes.pipelines.segmentation import (
    SegmentationConfig,
    SegmentationPipeline,
    dropout_masks,
    summarise,
)
from perception_nodes.types import UNLABELLED, Flow, PerceptionError

CLASSES = ('road', 'sky', 'car')


@pytest.fixture
def build(memory_runner):
    """Build a pipeline whose model gives the coarse probabilities [3, 4, 6] of ``frames``."""

    def make(frames, **config):
        remaining = iter(frames)

        def answer(inputs):
            coarse = np.asarray(next(remaining), np.float32)
            labels, confidence, entropy = summarise(coarse, 16, 24)
            return {
                'labels': labels[None], 'confidence': confidence[None], 'entropy': entropy[None],
                'mutual_information': np.full((1, 16, 24), 0.1, np.float32),
                'probabilities': coarse[None],
            }

        runner = memory_runner('segmentation', answer, classes=CLASSES,
                               calibration={'dropout_probability': 0.25})
        return SegmentationPipeline(runner, SegmentationConfig(**config))

    return make


def certain(label, width=6, height=4):
    return np.eye(3, dtype=np.float32)[label][:, None, None] * np.ones((3, height, width))


def test_without_sampling_one_row_of_ones_goes_in_and_no_epistemic_part_comes_out(build, image):
    pipeline = build([certain(2)])
    result = pipeline(image(5))
    assert (pipeline.runner.inputs[0]['dropout_masks'] == np.ones((1, 6))).all()
    assert (result.labels == 2).all() and result.labels.dtype == np.uint8
    assert result.mutual_information is None
    assert 'probabilities' not in pipeline.runner.outputs[0]
    assert (result.classes, result.stamp_ns) == (CLASSES, 5)


def test_the_flipped_image_is_looked_at_too_and_laid_back(build, image):
    first = np.stack([np.full((4, 6), 0.6), np.full((4, 6), 0.3), np.full((4, 6), 0.1)])
    other = np.stack([np.full((4, 6), 0.2), np.full((4, 6), 0.3), np.full((4, 6), 0.5)])
    other[:, :, 3:] = first[:, :, 3:]  # on the right of the flipped image: the left
    pipeline = build([first, other], flip=True, mc_samples=2)
    result = pipeline(image(5))
    plain, flipped = (inputs['image'] for inputs in pipeline.runner.inputs)
    assert (flipped == plain[:, :, ::-1]).all() and flipped.flags.c_contiguous
    assert 'labels' not in pipeline.runner.outputs[1]
    np.testing.assert_allclose(result.confidence[:, :8], 0.6, atol=1e-6)
    np.testing.assert_allclose(result.confidence[:, -8:], 0.4, atol=1e-6)
    by_hand = -(0.4 * np.log(0.4) + 0.6 * np.log(0.3)) / np.log(3)
    np.testing.assert_allclose(result.entropy[:, -8:], by_hand, atol=1e-5)
    np.testing.assert_allclose(result.mutual_information, 0.1)


def test_dropout_masks_are_seeded_scaled_and_drop_what_the_card_says(build, image):
    pipeline = build([certain(0)], mc_samples=5, seed=3)
    masks = pipeline.masks
    assert masks.shape == (5, 6) and masks.dtype == np.float32
    assert set(np.unique(masks)) <= {0.0, np.float32(4 / 3)}
    assert (masks == dropout_masks(pipeline.runner.card, 5, 3)).all()
    assert (masks != dropout_masks(pipeline.runner.card, 5, 4)).any()
    many = dropout_masks(pipeline.runner.card, 60, 0)
    assert abs((many == 0).mean() - 0.25) < 0.1
    assert np.allclose(pipeline(image()).mutual_information, 0.1)


def test_sampling_needs_the_dropout_probability(memory_runner):
    runner = memory_runner('segmentation', dict)
    with pytest.raises(PerceptionError, match='no dropout_probability'):
        SegmentationPipeline(runner, SegmentationConfig(mc_samples=2))


def test_pixels_below_the_confidence_floor_are_unlabelled(build, image):
    half = np.array([0.6, 0.3, 0.1])[:, None, None] * np.ones((3, 4, 6))
    half[:, :, 3:] = np.array([0.1, 0.8, 0.1])[:, None, None]
    labels = build([half], min_confidence=0.7)(image()).labels
    assert (labels[:, :8] == UNLABELLED).all() and (labels[:, -8:] == 1).all()


def test_summarise_gives_the_entropy_over_log_k():
    probabilities = np.array([0.5, 0.5, 0.0], np.float32)[:, None, None] * np.ones((3, 2, 2))
    labels, confidence, entropy = summarise(probabilities.astype(np.float32), 2, 2)
    assert np.allclose(entropy, np.log(2) / np.log(3), atol=1e-6)
    assert np.allclose(confidence, 0.5) and (labels == 0).all()


def flow(motion, stamp_ns, previous_stamp_ns):
    grid = np.tile(np.float32(motion), (16, 24, 1))
    return Flow(stamp_ns, 'left', previous_stamp_ns, grid, np.ones((16, 24), np.float32))


def test_the_past_is_blended_along_the_flow(build, image):
    """A car in column 1 of 6 moves one coarse cell (4 px) to the right."""
    first, second = certain(0), certain(0)
    first[:, :, 1] = np.array([0, 0, 1.0])[:, None]
    pipeline = build([first, second], temporal=True, temporal_weight=0.6)
    pipeline(image(1))
    pipeline(image(2), flow([4.0, 0.0], 2, 1))
    blended = pipeline.smoother.probabilities
    assert np.allclose(blended[2, :, 2], 0.6, atol=1e-6)  # 0.6 of the past, moved along
    assert np.allclose(blended[2, :, 1], 0.0, atol=1e-6)
    assert np.allclose(blended[0, :, 0], 1.0)  # came from outside: the frame alone
    assert np.allclose(blended.sum(axis=0), 1.0, atol=1e-6)


def test_where_the_flow_is_unknown_the_frame_stands_alone(build, image):
    motion = flow([0.0, 0.0], 2, 1)
    motion.flow_px[:, 12:] = np.nan
    pipeline = build([certain(2), certain(0)], temporal=True)
    pipeline(image(1))
    assert np.isfinite(pipeline(image(2), motion).confidence).all()
    assert np.allclose(pipeline.smoother.probabilities[2, :, :3], 0.5)
    assert np.allclose(pipeline.smoother.probabilities[2, :, 3:], 0.0)


@pytest.mark.parametrize('stamp_ns, previous_ns, frame_id', [
    (1, None, 'left'), (0, None, 'left'), (2, 0, 'left'), (2, None, 'other'),
])
def test_the_past_is_forgotten_when_it_is_not_the_past(
    build, image, stamp_ns, previous_ns, frame_id
):
    motion = None if previous_ns is None else flow([0.0, 0.0], stamp_ns, previous_ns)
    pipeline = build([certain(2), certain(0)], temporal=True)
    pipeline(image(1))
    result = pipeline(image(stamp_ns, frame_id=frame_id), motion)
    assert (result.labels == 0).all() and np.allclose(result.confidence, 1)


def test_without_flow_the_past_is_blended_in_place_and_reset_forgets(build, image):
    pipeline = build([certain(2), certain(0), certain(0)], temporal=True, temporal_weight=0.7)
    pipeline(image(1))
    result = pipeline(image(2))
    assert (result.labels == 2).all() and np.allclose(result.confidence, 0.7)
    pipeline.reset()
    assert (pipeline(image(3)).labels == 0).all()


@pytest.mark.parametrize('wrong', [
    {'mc_samples': -1}, {'mc_samples': 1000}, {'min_confidence': 1.5}, {'temporal_weight': 1.0},
])
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(PerceptionError, match='must lie between'):
        SegmentationConfig(**wrong)
