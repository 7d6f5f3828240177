# SPDX-License-Identifier: Apache-2.0
"""Losses on descriptors against numbers worked out by hand."""

import pytest
import torch

from perception_nodes.losses.metric_learning import (
    contrastive_loss,
    hardest_in_batch_triplets,
    triplet_loss,
)


def test_contrastive_of_two_pairs() -> None:
    # Distances 0.6 (same) and 0.5 (different): (0.36 + (1 - 0.5)^2) / 2.
    first = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    second = torch.tensor([[0.6, 0.0], [0.3, 0.4]])
    loss = contrastive_loss(first, second, torch.tensor([1.0, 0.0]), margin=1.0)
    assert loss.item() == pytest.approx((0.36 + 0.25) / 2, abs=1e-5)


def test_contrastive_ignores_what_is_far_apart_already() -> None:
    loss = contrastive_loss(torch.zeros(1, 2), torch.tensor([[3.0, 0.0]]), torch.zeros(1), 1.0)
    assert loss.item() == 0


def test_contrastive_has_a_finite_gradient_at_equal_descriptors() -> None:
    first = torch.zeros(1, 2, requires_grad=True)
    contrastive_loss(first, torch.zeros(1, 2), torch.zeros(1)).backward()
    assert torch.isfinite(first.grad).all()


def test_triplet_of_two() -> None:
    anchor = torch.zeros(2, 2)
    positive = torch.tensor([[0.3, 0.4], [0.1, 0.0]])
    negative = torch.tensor([[0.6, 0.0], [2.0, 0.0]])
    # 0.25 + 0.2 - 0.36 = 0.09, and nothing where the negative is far.
    assert triplet_loss(anchor, positive, negative, 0.2).item() == pytest.approx(0.045)


def test_hardest_negative_may_be_on_either_side() -> None:
    anchors = torch.tensor([[0.0], [10.0], [3.0]])
    positives = torch.tensor([[1.0], [10.5], [2.5]])
    # d(p): 1, 0.5, 0.5. Nearest others: a0-p2 2.5 and p0-a2 2 -> 2; a1-p2 7.5 and p1-a2 7.5;
    # a2-p0 2 and p2-a0 2.5 -> 2.
    expected = (max(0, 1 + 2 - 2) + max(0, 0.5 + 2 - 7.5) + max(0, 0.5 + 2 - 2)) / 3
    loss = hardest_in_batch_triplets(anchors, positives, margin=2.0)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_excluded_pairs_are_no_negatives() -> None:
    anchors, positives = torch.tensor([[0.0], [0.1]]), torch.tensor([[0.0], [0.1]])
    excluded = ~torch.eye(2, dtype=torch.bool)
    loss = hardest_in_batch_triplets(anchors, positives, 1.0)
    assert loss.item() == pytest.approx(0.9, abs=1e-5)
    assert hardest_in_batch_triplets(anchors, positives, 1.0, excluded).item() == 0
