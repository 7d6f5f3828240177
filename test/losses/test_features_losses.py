# SPDX-License-Identifier: Apache-2.0
"""Keypoint losses against numbers worked out by hand."""

import math

import pytest
import torch

from perception_nodes.losses.features import cell_loss, dual_softmax_loss, sample_descriptors


def test_cell_loss_weighs_empty_cells() -> None:
    # Two pixels and "none" are equally likely: each cell costs log 3, whatever the weights.
    logits = torch.zeros(1, 3, 1, 2)
    target = torch.tensor([[[0, 2]]])
    assert cell_loss(logits, target, 0.2).item() == pytest.approx(math.log(3))
    # The first cell is right beyond doubt, the second costs log 3: (0 + 0.2 log 3) / 1.2.
    logits[0, 0, 0, 0] = 50.0
    assert cell_loss(logits, target, 0.2).item() == pytest.approx(0.2 * math.log(3) / 1.2)


def test_descriptors_are_sampled_at_cell_centres_and_between() -> None:
    maps = torch.zeros(1, 2, 1, 2)
    maps[0, 0, 0, 0], maps[0, 1, 0, 1] = 1.0, 1.0
    # Cells of 8 px: centres at 3.5 and 11.5; 7.5 lies between both.
    points = torch.tensor([[[3.5, 3.5], [11.5, 3.5], [7.5, 3.5]]])
    sampled = sample_descriptors(maps, points, 8)[0]
    half = math.sqrt(0.5)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [half, half]])
    torch.testing.assert_close(sampled, expected, atol=1e-6, rtol=0)


def test_dual_softmax_of_two_points() -> None:
    # Orthogonal descriptors at temperature 1: each row is a softmax of (1, 0).
    points = torch.eye(2)[None]
    none = torch.zeros(1, 2, 2, dtype=torch.bool)
    expected = -math.log(math.e / (math.e + 1))
    assert dual_softmax_loss(points, points, none, 1.0).item() == pytest.approx(expected)


def test_excluded_pairs_are_no_rivals() -> None:
    same = torch.ones(1, 2, 1)
    rivals = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert dual_softmax_loss(same, same, rivals).item() == pytest.approx(math.log(2))
    near = ~torch.eye(2, dtype=torch.bool)[None]
    assert dual_softmax_loss(same, same, near).item() == pytest.approx(0.0, abs=1e-6)
