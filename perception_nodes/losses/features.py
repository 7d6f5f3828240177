# SPDX-License-Identifier: Apache-2.0
"""Losses of keypoints and their descriptors."""

import torch
from torch import Tensor
from torch.nn import functional as F


def cell_loss(logits: Tensor, target: Tensor, empty_weight: float) -> Tensor:
    """Cross-entropy over the pixels of each cell and "none" (SuperPoint's detector loss).

    Parameters
    ----------
    logits : B C h w, the last channel is "none". target : int64 B h w, channel of the keypoint.
    empty_weight : weight of cells without a keypoint, of which there are many.
    """
    weight = torch.ones(logits.shape[1], device=logits.device)
    weight[-1] = empty_weight
    return F.cross_entropy(logits.float(), target, weight)


def sample_descriptors(descriptors: Tensor, points_px: Tensor, cell: int) -> Tensor:
    """Descriptors B N D, unit length, of a map B D h w at points B N 2 (x, y) of the image."""
    height, width = descriptors.shape[-2:]
    size = points_px.new_tensor([width * cell, height * cell])
    grid = (points_px + 0.5) * (2 / size) - 1
    sampled = F.grid_sample(descriptors, grid[:, None], align_corners=False)
    return F.normalize(sampled[:, :, 0].transpose(1, 2), dim=-1)


def dual_softmax_loss(
    first: Tensor, second: Tensor, excluded: Tensor, temperature: float = 0.1
) -> Tensor:
    """Negative log likelihood that i matches i, from both sides (after LoFTR, Sun et al. 2021).

    Parameters
    ----------
    first, second : B N D unit descriptors, row i of both shows one point.
    excluded : bool B N N, pairs that are too close to count as different.
    """
    score = first.float() @ second.float().transpose(1, 2) / temperature
    score = score.masked_fill(excluded, -1e4)
    right = torch.diagonal(F.log_softmax(score, 2), dim1=1, dim2=2)
    back = torch.diagonal(F.log_softmax(score, 1), dim1=1, dim2=2)
    return -0.5 * (right + back).mean()
