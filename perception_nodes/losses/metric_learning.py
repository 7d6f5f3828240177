# SPDX-License-Identifier: Apache-2.0
"""Losses that draw descriptors of one thing together and others apart."""

import torch
from torch import Tensor


def contrastive_loss(
    first: Tensor, second: Tensor, same: Tensor, margin: float = 1.0
) -> Tensor:
    """Mean of y d^2 + (1 - y) max(0, m - d)^2 (Hadsell, Chopra & LeCun 2006).

    Parameters
    ----------
    first, second : N D descriptors; d is their Euclidean distance.
    same : N, 1 where both show one thing, else 0.
    """
    # The small number keeps the gradient of the root finite where two descriptors are equal.
    distance = ((first - second).square().sum(1) + 1e-12).sqrt()
    apart = (margin - distance).clamp(min=0).square()
    return (same * distance.square() + (1 - same) * apart).mean()


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of max(0, |a - p|^2 + m - |a - n|^2) over N D descriptors (NetVLAD's D: squared)."""
    near = (anchor - positive).square().sum(-1)
    far = (anchor - negative).square().sum(-1)
    return (near + margin - far).clamp(min=0).mean()


def hardest_in_batch_triplets(
    anchors: Tensor, positives: Tensor, margin: float, excluded: Tensor | None = None
) -> Tensor:
    """Triplet loss where each pair's negative is the nearest other one of the batch.

    Mean of max(0, d(a_i, p_i) + m - min_j d(a_i, p_j), d(a_j, p_i)), Euclidean (HardNet, Mishchuk
    et al. 2017).

    Parameters
    ----------
    anchors, positives : N D; row i of both shows one thing.
    excluded : bool N N, pairs that are no negatives although i != j.
    """
    distance = ((anchors[:, None] - positives[None]).square().sum(-1) + 1e-12).sqrt()
    barred = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    if excluded is not None:
        barred = barred | excluded
    others = distance.masked_fill(barred, float('inf'))
    nearest = torch.minimum(others.amin(1), others.amin(0))
    return (distance.diagonal() + margin - nearest).clamp(min=0).mean()
