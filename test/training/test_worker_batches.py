# SPDX-License-Identifier: Apache-2.0
"""Batches drawn by other processes are the ones that would have been drawn here."""

import cv2
import numpy as np
import torch

from perception_nodes.training.dense_batches import DenseBatches, Sample
from perception_nodes.training.worker_batches import WorkerBatches


def noise(rng: np.random.Generator) -> Sample:
    """An image blurred by OpenCV and a number."""
    image = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
    blurred = cv2.warpAffine(image, np.eye(2, 3) * 1.5, (96, 64), flags=cv2.INTER_LINEAR)
    return {'image': blurred, 'value': rng.random((1, 4, 6)).astype(np.float32)}


def test_drawn_batches_are_those_of_dense_batches_in_any_order():
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((512, 512, 3), np.uint8), (0, 0), 3)  # starts OpenCV's threads
    drawn, here = WorkerBatches(noise, 3, seed=5), DenseBatches(noise, 3, seed=5)
    for step in (0, 1, 2, 7, 8, 3):
        batch, expected = drawn.batch(step), here.batch(step)
        assert batch.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(batch[key], value), (step, key)
    assert batch['image'].shape == (3, 3, 64, 96) and batch['image'].max() <= 1
