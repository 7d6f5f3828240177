# SPDX-License-Identifier: Apache-2.0
"""Weights take orthogonal steps, biases and norms Adam's."""

import pytest
import torch
from torch import nn

from perception_nodes.training.muon import Muon, orthogonalised


@pytest.mark.parametrize('shape', [(12, 40), (40, 12), (16, 16)])
def test_directions_become_equally_long_and_keep_their_place(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(0, -1, shape[1])
    found = orthogonalised(matrix)
    lengths = torch.linalg.svdvals(found)
    assert lengths.min() > 0.5
    assert lengths.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.mT @ found @ v.mT
    torch.testing.assert_close(inner, inner.diag().diag(), atol=1e-3, rtol=0)


def test_a_step_is_as_large_as_adams_for_any_scale_of_the_gradient() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(8, 4, 3, 3)
    steps = []
    for scale in (1e-4, 1.0, 1e4):
        weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
        weight.grad = gradient * scale
        Muon([weight], lr=0.01).step()
        steps.append(weight.detach().clone())
    assert float(steps[0].square().mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.2)
    assert float((steps[0] * gradient).sum()) < 0
    for step in steps[1:]:
        torch.testing.assert_close(step, steps[0], atol=1e-6, rtol=1e-3)


def test_biases_take_the_steps_of_adamw() -> None:
    torch.manual_seed(0)
    own, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    ours = Muon([{'params': [own], 'weight_decay': 0.1}], lr=0.01)
    adam = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for _ in range(20):
        own.grad = torch.randn(5)
        theirs.grad = own.grad.clone()
        ours.step()
        adam.step()
    torch.testing.assert_close(own, theirs)


def test_weights_decay_and_what_has_no_gradient_stays() -> None:
    weight, still = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.zeros(2, 2)
    Muon([weight, still], lr=0.5, weight_decay=0.2).step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 0.9))
    torch.testing.assert_close(still.detach(), torch.ones(2, 2))
