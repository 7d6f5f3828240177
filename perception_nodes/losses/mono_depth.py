# SPDX-License-Identifier: Apache-2.0
"""Losses of depth from one image."""

import torch
from torch import Tensor


def log_gradient_error(
    log_depth: Tensor, truth: Tensor, steps: tuple[int, ...] = (1, 4)
) -> Tensor:
    """Mean absolute difference of the slopes of log-depth, B 1 H W (after Eigen & Fergus 2015).

    Parameters
    ----------
    steps : distances over which slopes are taken, pixels.
    """
    error = log_depth - truth
    total = error.new_zeros(())
    for step in steps:
        total = total + (error[:, :, :, step:] - error[:, :, :, :-step]).abs().mean()
        total = total + (error[:, :, step:] - error[:, :, :-step]).abs().mean()
    return total / len(steps)


def scale_invariant_log_error(log_depth: Tensor, truth: Tensor, balance: float = 0.5) -> Tensor:
    """``mean(e^2) - balance mean(e)^2`` of the log error e (Eigen et al. 2014, eq. 4)."""
    error = log_depth - truth
    return torch.mean(error**2) - balance * torch.mean(error) ** 2
