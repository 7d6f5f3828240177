# SPDX-License-Identifier: Apache-2.0
"""How dense networks get their images: 0..1, made smaller without aliasing."""

from torch import Tensor
from torch.nn import functional as F

from perception_nodes.export.network_input import resize


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
