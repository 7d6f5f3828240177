# SPDX-License-Identifier: Apache-2.0
"""Learning depth without truth: one image must be explained by the other (Monodepth)."""

import torch
from torch import Tensor
from torch.nn import functional as F

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of 3x3 windows of two images B C H W, 0..1 (Wang et al. 2004); B C H W, -1..1."""
    first, second = (F.pad(image, (1, 1, 1, 1), mode='reflect') for image in (first, second))
    mean1, mean2 = (F.avg_pool2d(image, 3, 1) for image in (first, second))
    variance1 = F.avg_pool2d(first * first, 3, 1) - mean1 * mean1
    variance2 = F.avg_pool2d(second * second, 3, 1) - mean2 * mean2
    covariance = F.avg_pool2d(first * second, 3, 1) - mean1 * mean2
    likeness = (2 * mean1 * mean2 + SSIM_C1) * (2 * covariance + SSIM_C2)
    return likeness / ((mean1**2 + mean2**2 + SSIM_C1) * (variance1 + variance2 + SSIM_C2))


def photometric_error(seen: Tensor, explained: Tensor, alpha: float = 0.85) -> Tensor:
    """``a (1 - SSIM) / 2 + (1 - a) |I - I~|``, B 1 H W (Godard et al. 2017, eq. 2).

    Parameters
    ----------
    seen, explained : B C H W, 0..1: the image, and the other one warped onto it.
    """
    similarity = ((1 - structural_similarity(seen, explained)) / 2).clamp(0, 1)
    return (alpha * similarity + (1 - alpha) * (seen - explained).abs()).mean(1, keepdim=True)


def auto_masked_reprojection(
    seen: Tensor, explained: list[Tensor], unmoved: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Least photometric error over the other images, where moving them helps at all.

    Godard et al. 2019 (Monodepth2, eq. 4 and 5): taking the least forgives what one of them does
    not see; pixels that fit better unmoved travel with the camera, and teach nothing.

    Parameters
    ----------
    seen : B C H W. explained : the others warped onto it. unmoved : the others as they are.

    Returns
    -------
    The mean over all pixels, of those that do not count the error unmoved (a constant: were they
    left out, explaining less would cost less); and bool B 1 H W, which count.
    """
    moved = torch.cat([photometric_error(seen, image) for image in explained], 1)
    still = torch.cat([photometric_error(seen, image) for image in unmoved], 1)
    least, unmoved_least = moved.amin(1, keepdim=True), still.amin(1, keepdim=True)
    counted = least < unmoved_least
    return torch.where(counted, least, unmoved_least).mean(), counted


def edge_aware_smoothness(values: Tensor, image: Tensor) -> Tensor:
    """Mean of ``|dx v| exp(-|dx I|) + |dy v| exp(-|dy I|)`` (Godard et al. 2017, eq. 3).

    Parameters
    ----------
    values : B 1 H W, disparity or inverse depth; divide by its mean first if it has no scale.
    image : B C H W; the slopes are means over its channels.
    """
    total = values.new_zeros(())
    for axis in (3, 2):
        slope = values.diff(dim=axis).abs()
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (slope * torch.exp(-edge)).mean()
    return total
