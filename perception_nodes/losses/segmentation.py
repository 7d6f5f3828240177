# SPDX-License-Identifier: Apache-2.0
"""Losses of segmentation; pixels of label 255 never count."""

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.types import UNLABELLED


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Weighted mean of -log p(label), logits B K H W and labels int64 B H W."""
    return F.cross_entropy(logits, labels, class_weights, ignore_index=UNLABELLED)


def median_frequency_weights(pixels: Tensor, present: Tensor, power: float = 1.0) -> Tensor:
    """Class weights median(f) / f_c of SegNet (after Eigen & Fergus 2015), to a power.

    Parameters
    ----------
    pixels : float K, labelled pixels of each class in the data set.
    present : float K, labelled pixels of the images in which the class occurs.
    power : 1 as published; less is milder.

    Returns
    -------
    float K; a class that never occurs weighs 0.
    """
    frequency = pixels / present.clamp(min=1)
    seen = pixels > 0
    weights = (frequency[seen].quantile(0.5) / frequency[seen]) ** power
    result = torch.zeros_like(frequency)
    result[seen] = weights
    return result


def heteroscedastic_cross_entropy(
    logits: Tensor, log_variance: Tensor, labels: Tensor, noise: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """-log of the mean softmax over logits disturbed by their sigma (Kendall & Gal 2017, eq 12).

    Parameters
    ----------
    logits : B K H W; log_variance : B 1 H W (or B K H W) of the logits.
    labels : int64 B H W, 255 = not counted.
    noise : S B K H W, standard normal.
    """
    sigma = torch.exp(0.5 * log_variance)
    samples = [F.log_softmax(logits + sigma * epsilon, 1) for epsilon in noise]
    mean = torch.stack(samples).logsumexp(0) - torch.log(torch.tensor(float(len(samples))))
    return F.nll_loss(mean, labels, class_weights, ignore_index=UNLABELLED)
