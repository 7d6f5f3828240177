# SPDX-License-Identifier: Apache-2.0
"""Losses of segmentation; pixels of label 255 never count."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.types import UNLABELLED


def cross_entropy(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None = None,
    merged: Tensor | None = None,
) -> Tensor:
    """Weighted mean of -log p(label), logits B K H W and labels int64 B H W.

    Parameters
    ----------
    merged : see with_merged; a label may then be K + m, any of the classes of row m.
    """
    log_p = with_merged(F.log_softmax(logits, 1), merged)
    return F.nll_loss(log_p, labels, class_weights, ignore_index=UNLABELLED)


def with_merged(log_p: Tensor, merged: Tensor | None) -> Tensor:
    """Log-probabilities B K+M H W: those of the classes, then those of each merged class.

    A merged class is any of several classes, and the sum of their probabilities its own: data that
    tells fewer classes apart than the network teaches it no more than it knows.

    Parameters
    ----------
    log_p : B K H W. merged : bool M K, the classes of each merged class; None: there are none.
    """
    if merged is None:
        return log_p
    sums = [log_p[:, parts].logsumexp(1, keepdim=True) for parts in merged]
    return torch.cat([log_p, *sums], 1)


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
    weights = torch.zeros_like(frequency)
    weights[seen] = (frequency[seen].quantile(0.5) / frequency[seen]) ** power
    return weights


def heteroscedastic_cross_entropy(
    logits: Tensor, log_variance: Tensor, labels: Tensor, noise: Tensor,
    class_weights: Tensor | None = None, merged: Tensor | None = None,
) -> Tensor:
    """-log of the mean softmax over logits disturbed by their sigma (Kendall & Gal 2017, eq 12).

    Parameters
    ----------
    logits : B K H W; log_variance : B 1 H W (or B K H W) of the logits.
    labels : int64 B H W, 255 = not counted.
    noise : S B K H W, standard normal.
    merged : see with_merged.
    """
    sigma = torch.exp(0.5 * log_variance)
    samples = [F.log_softmax(logits + sigma * epsilon, 1) for epsilon in noise]
    mean = torch.stack(samples).logsumexp(0) - math.log(len(samples))
    log_p = with_merged(mean, merged)
    return F.nll_loss(log_p, labels, class_weights, ignore_index=UNLABELLED)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean of -(1 - p)^gamma log p of the label (Lin et al. 2017); gamma 0: cross-entropy."""
    known = labels != UNLABELLED
    log_p = F.log_softmax(logits, 1).gather(1, labels.where(known, 0)[:, None])[:, 0][known]
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def lovasz_softmax(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Convex surrogate of 1 - mean IoU over the classes that occur (Berman et al. 2018).

    Parameters
    ----------
    probabilities : B K H W, softmax; labels : int64 B H W, 255 = not counted.
    """
    known = labels.flatten() != UNLABELLED
    flat = probabilities.transpose(0, 1).flatten(1)
    classes = labels.flatten()[known].unique()
    if not len(classes):
        return probabilities.sum() * 0
    is_class = (labels.flatten() == classes[:, None]).to(flat.dtype)
    # An error of 0 is worth nothing wherever it is sorted to: so void pixels do not count.
    errors = (is_class - flat[classes]).abs() * known
    with torch.no_grad():
        order = errors.argsort(1, descending=True)
        sorted_slope = lovasz_gradient(is_class.gather(1, order))
        slope = torch.empty_like(errors).scatter_(1, order, sorted_slope)
    return (errors * slope).sum(1).mean()


def lovasz_gradient(is_class: Tensor) -> Tensor:
    """What each further error adds to the Jaccard loss, C N; is_class: 0 or 1, worst first."""
    total = is_class.sum(1, keepdim=True)
    intersection = total - is_class.cumsum(1)
    union = total + (1 - is_class).cumsum(1)
    jaccard = 1 - intersection / union
    return torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], 1)
