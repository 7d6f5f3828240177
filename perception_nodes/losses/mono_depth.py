# SPDX-License-Identifier: Apache-2.0
"""Losses of depth from one image."""

import torch
from torch import Tensor

from perception_nodes.losses.regression import weighted_mean


def log_gradient_error(
    log_depth: Tensor, truth: Tensor, weight: Tensor | None = None,
    steps: tuple[int, ...] = (1, 4),
) -> Tensor:
    """Mean absolute difference of the slopes of log-depth, B 1 H W (after Eigen & Fergus 2015).

    Parameters
    ----------
    weight : B 1 H W, 0 where depth is not known; a slope counts as the lesser of its two ends.
        None: all alike.
    steps : distances over which slopes are taken, pixels.
    """
    error = log_depth - truth
    total = error.new_zeros(())
    for step in steps:
        for axis in (3, 2):
            near, far = (error.narrow(axis, start, error.shape[axis] - step)
                         for start in (0, step))
            ends = None if weight is None else torch.minimum(*(
                weight.narrow(axis, start, weight.shape[axis] - step) for start in (0, step)
            ))
            total = total + weighted_mean((far - near).abs(), ends)
    return total / len(steps)


def scale_invariant_log_error(
    log_depth: Tensor, truth: Tensor, weight: Tensor | None = None, balance: float = 0.5
) -> Tensor:
    """``mean(e^2) - balance mean(e)^2`` of the log error e (Eigen et al. 2014, eq. 4), B.

    Parameters
    ----------
    log_depth, truth : B 1 H W. weight : B 1 H W, 0 where depth is not known; None: all alike.
    """
    if weight is None:
        weight = torch.ones_like(truth)
    total = weight.sum((1, 2, 3)).clamp(min=1e-6)
    error = log_depth - truth
    mean = (error * weight).sum((1, 2, 3)) / total
    square = (error * error * weight).sum((1, 2, 3)) / total
    return square - balance * mean * mean
