# SPDX-License-Identifier: Apache-2.0
"""Weights of several tasks."""

import math

import pytest
import torch

from perception_nodes.losses.multi_task import TaskWeights

LOSSES = {'depth': torch.tensor(4.0), 'labels': torch.tensor(0.5)}


def test_at_the_start_regression_counts_half_and_classification_whole() -> None:
    weights = TaskWeights({'depth': False, 'labels': True})
    assert weights(LOSSES).item() == pytest.approx(0.5 * 4 + 0.5)


def test_the_sum_for_given_noise() -> None:
    weights = TaskWeights({'depth': False, 'labels': True})
    weights.log_variance.data = torch.tensor([math.log(4.0), math.log(0.5)])
    by_hand = 4 / (2 * 4) + math.log(2) + 0.5 / 0.5 + math.log(math.sqrt(0.5))
    assert weights(LOSSES).item() == pytest.approx(by_hand)


def test_the_learned_variance_settles_at_the_loss() -> None:
    # d/da (L exp(-a) / 2 + a / 2) = 0 at exp(a) = L; for classification at exp(a) = 2 L.
    weights = TaskWeights({'depth': False, 'labels': True})
    optimizer = torch.optim.Adam(weights.parameters(), 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weights(LOSSES).backward()
        optimizer.step()
    assert weights.log_variance.exp().tolist() == pytest.approx([4.0, 1.0], rel=0.02)


def test_a_missing_task_is_refused() -> None:
    with pytest.raises(ValueError, match='labels'):
        TaskWeights({'depth': False, 'labels': True})({'depth': torch.tensor(1.0)})
