# SPDX-License-Identifier: Apache-2.0
"""Losses of stereo disparity, B 1 H W pixels, >= 0, ``x_right = x_left - disparity``."""

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.losses.regression import weighted_mean


def sample_row(right: Tensor, disparity: Tensor) -> Tensor:
    """Bring a right map onto the left grid: its value at ``x - disparity(x)`` (edge repeated).

    Parameters
    ----------
    right : B C H W. disparity : B 1 H W on the left grid, pixels.
    """
    height, width = right.shape[2:]
    x = torch.arange(width, dtype=torch.float32, device=right.device)
    y = torch.arange(height, dtype=torch.float32, device=right.device)
    at_x = (x - disparity[:, 0]) * (2 / (width - 1)) - 1
    at_y = (y * (2 / (height - 1)) - 1)[:, None].expand_as(at_x)
    grid = torch.stack([at_x, at_y], -1)
    return F.grid_sample(right, grid, padding_mode='border', align_corners=True)


def left_right_consistency(left: Tensor, right: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of ``|d_l(x) - d_r(x - d_l(x))|`` (Godard et al. 2017, eq. 4).

    Parameters
    ----------
    left, right : B 1 H W, each image's disparity on its own grid, pixels. weight : B 1 H W.
    """
    return weighted_mean((left - sample_row(right, left)).abs(), weight)


def level_cross_entropy(scores: Tensor, level: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of a cost volume against the two levels that the true one lies between.

    The softmax gets one sharp peak, which the mean of the soft-argmin alone does not ask for
    (Zhang et al. 2020, AcfNet, in its plainest form).

    Parameters
    ----------
    scores : B D H W. level : B 1 H W, true level; outside 0 .. D - 1 it does not count.
    weight : B 1 H W.
    """
    last = scores.shape[1] - 1
    counted = ((level >= 0) & (level <= last)).float()
    lower = level.clamp(0, last - 1).floor()
    upper_share = level.clamp(0, last) - lower
    log_p = scores.float().log_softmax(1)
    at_lower = log_p.gather(1, lower.long())
    at_upper = log_p.gather(1, lower.long() + 1)
    loss = -(1 - upper_share) * at_lower - upper_share * at_upper
    return weighted_mean(loss, counted if weight is None else counted * weight)
