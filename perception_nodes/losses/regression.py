# SPDX-License-Identifier: Apache-2.0
"""Regression that learns its own uncertainty (Kendall & Gal 2017, eq. 5)."""

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over all elements, or weighted; 0 if the weights are all 0. Shapes broadcast."""
    if weight is None:
        return values.mean()
    weight = weight.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def gaussian_nll(error: Tensor, log_variance: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of ``error^2 / (2 s^2) + log s`` with ``log_variance = log s^2``.

    Parameters
    ----------
    error : estimate - truth, any shape. log_variance, weight : shapes that broadcast to it.
    """
    nll = 0.5 * (error * error * torch.exp(-log_variance) + log_variance)
    return weighted_mean(nll, weight)


def laplace_nll(error: Tensor, log_scale: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of ``|error| / b + log b``, ``log_scale = log b``; one sigma is ``sqrt(2) b``.

    An outlier pulls less than under a Gaussian, and matching errors have heavy tails.

    Parameters
    ----------
    error : estimate - truth, any shape. log_scale, weight : shapes that broadcast to it.
    """
    return weighted_mean(error.abs() * torch.exp(-log_scale) + log_scale, weight)
