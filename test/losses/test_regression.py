# SPDX-License-Identifier: Apache-2.0
"""Regression with a learned sigma: against numbers worked out by hand."""

import math

import pytest
import torch

from perception_nodes.losses.regression import gaussian_nll, laplace_nll, weighted_mean


def test_gaussian_is_half_the_scaled_square_plus_log_sigma():
    error, variance = torch.tensor([2.0, -1.0]), torch.tensor([4.0, 1.0])
    # 4 / 8 + log 2, 1 / 2 + log 1
    expected = (0.5 + math.log(2) + 0.5) / 2
    assert gaussian_nll(error, variance.log()).item() == pytest.approx(expected)


def test_laplace_is_the_scaled_length_plus_log_scale():
    error, scale = torch.tensor([3.0, -1.0]), torch.tensor([2.0, 0.5])
    expected = ((1.5 + math.log(2)) + (2 + math.log(0.5))) / 2
    assert laplace_nll(error, scale.log()).item() == pytest.approx(expected)


@pytest.mark.parametrize('loss, best', [
    (gaussian_nll, 2 * math.log(3.0)), (laplace_nll, math.log(3.0)),
])
def test_the_best_uncertainty_is_the_size_of_the_error(loss, best):
    error = torch.tensor([3.0, -3.0])
    at = [loss(error, torch.tensor(best + step)).item() for step in (-0.1, 0.0, 0.1)]
    assert at[1] < at[0] and at[1] < at[2]


def test_weights_choose_and_none_is_zero():
    values = torch.tensor([[1.0, 5.0], [3.0, 7.0]])
    assert weighted_mean(values, torch.tensor([[1.0, 0.0], [3.0, 0.0]])).item() == 2.5
    assert weighted_mean(values, torch.tensor([[0.0], [1.0]])).item() == 5.0
    assert weighted_mean(values, torch.zeros(2, 2)).item() == 0.0
