# SPDX-License-Identifier: Apache-2.0
"""Losses of optical flow; flows are B 2 H W in pixels on the newest grid (see types.Flow)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.losses.regression import weighted_mean


def end_point_error(flow: Tensor, truth: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean length of the error vector, B 2 H W against B 2 H W; weight B 1 H W."""
    length = torch.sqrt(((flow - truth) ** 2).sum(1, keepdim=True) + 1e-12)
    return weighted_mean(length, weight)


def multi_scale_end_point_error(
    flows: Sequence[Tensor], truth: Tensor, level_weights: Sequence[float],
    weight: Tensor | None = None,
) -> Tensor:
    """Weighted sum of the end-point errors of coarse flows (FlowNet, Dosovitskiy et al. 2015).

    Parameters
    ----------
    flows : B 2 h w each, in pixels of the full size, coarsest first.
    truth : B 2 H W, read at the centre of each coarse cell. weight : B 1 H W.
    """
    total = truth.new_zeros(())
    for flow, level_weight in zip(flows, level_weights, strict=True):
        step = truth.shape[3] // flow.shape[3]
        centre = slice(step // 2, None, step)
        at = weight if weight is None else weight[:, :, centre, centre]
        error = end_point_error(flow, truth[:, :, centre, centre], at)
        total = total + level_weight * error
    return total


def window_cross_entropy(
    scores: Tensor, offset: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Cross-entropy of a window's scores against the four places around the true one.

    Parameters
    ----------
    scores : B (2r+1)^2 H W, rows of the window first.
    offset : B 2 H W (x, y), where in the window the match is; outside -r..r it does not count.
    weight : B 1 H W.
    """
    side = round(scores.shape[1] ** 0.5)
    at = offset + (side // 2)
    counted = ((at >= 0) & (at <= side - 1)).all(1, keepdim=True).float()
    corner = at.clamp(0, side - 1.001).floor()
    share = at.clamp(0, side - 1) - corner
    log_p = scores.float().log_softmax(1)
    loss = torch.zeros_like(counted)
    for dy in (0, 1):
        for dx in (0, 1):
            place = (corner[:, 1:] + dy) * side + corner[:, :1] + dx
            part_x = share[:, :1] if dx else 1 - share[:, :1]
            part_y = share[:, 1:] if dy else 1 - share[:, 1:]
            loss = loss - part_x * part_y * log_p.gather(1, place.long())
    return weighted_mean(loss, counted if weight is None else counted * weight)


def census(image: Tensor, radius: int = 3, softness: float = 0.81) -> Tensor:
    """Soft census transform: how each pixel differs from its neighbours, blind to brightness.

    After Meister et al. 2018 (UnFlow): ``d / sqrt(softness + d^2)`` with d on a 0..255 scale.

    Parameters
    ----------
    image : B 1 H W, grey 0..1.

    Returns
    -------
    B (2 radius + 1)^2 H W, -1..1.
    """
    height, width = image.shape[2:]
    padded = F.pad(image, (radius,) * 4, mode='replicate')
    side = range(2 * radius + 1)
    around = torch.cat(
        [padded[:, :, y:y + height, x:x + width] for y in side for x in side], 1
    )
    difference = 255 * (around - image)
    return difference / torch.sqrt(softness + difference**2)


def census_distance(first: Tensor, second: Tensor, radius: int = 3) -> Tensor:
    """Soft Hamming distance of two grey images' census transforms, B 1 H W, 0..(2r+1)^2."""
    squared = (census(first, radius) - census(second, radius)) ** 2
    return (squared / (0.1 + squared)).sum(1, keepdim=True)


def forward_backward_occlusion(
    forward: Tensor, backward_at_target: Tensor, relative: float = 0.01, absolute: float = 0.5
) -> Tensor:
    """Tell pixels whose way there and back does not close (Sundaram et al. 2010; UnFlow).

    Parameters
    ----------
    forward : B 2 H W. backward_at_target : the opposite flow sampled where forward leads.

    Returns
    -------
    bool B 1 H W, True = hidden: ``|f + b|^2 > relative (|f|^2 + |b|^2) + absolute``.
    """
    gap = ((forward + backward_at_target) ** 2).sum(1, keepdim=True)
    length = (forward**2).sum(1, keepdim=True) + (backward_at_target**2).sum(1, keepdim=True)
    return gap > relative * length + absolute
