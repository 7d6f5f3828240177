# SPDX-License-Identifier: Apache-2.0
"""How dense networks get their images: 0..1, made smaller without aliasing."""

import torch
from torch import Tensor
from torch.nn import functional as F

from perception_nodes.export.network_input import resize
from perception_nodes.networks.matching import LUMINANCE


def unit_image(image: Tensor, size: Tensor) -> Tensor:
    """Bring an image to the network's size.

    TensorRT has no antialiased resize, and matching suffers from aliasing that differs between
    two images: so resize to twice the size, then average 2x2.

    Parameters
    ----------
    image : uint8 [B, H, W, 3]. size : int64 [2], height and width.

    Returns
    -------
    float B 3 h w, 0..1.
    """
    planes = image.float().permute(0, 3, 1, 2) * (1 / 255)  # TensorRT only casts uint8
    return F.avg_pool2d(resize(planes, size * 2), 2)


def grey_image(image: Tensor, size: Tensor) -> Tensor:
    """Bring an image to the size of a network that looks at its luminance alone.

    One plane is resized instead of three.

    Parameters
    ----------
    image : uint8 [B, H, W, 3]. size : int64 [2], height and width.

    Returns
    -------
    float B 3 h w, 0..1, three times the luminance.
    """
    weights = torch.tensor(LUMINANCE, device=image.device) * (1 / 255)
    grey = (image.float() * weights).sum(3)[:, None]
    return F.avg_pool2d(resize(grey, size * 2), 2).expand(-1, 3, -1, -1)
