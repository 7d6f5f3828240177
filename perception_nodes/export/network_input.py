# SPDX-License-Identifier: Apache-2.0
"""From the camera's image to the network's and back, inside the graph."""

import torch
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = 0.45, 0.25
"""Of the normalisation (v / 255 - MEAN) / STD, the same for every network and channel."""


def network_size(
    image: Tensor, pixels: int | Tensor, multiple: int = 32, enlarged: float = 1.0
) -> Tensor:
    """Height and width that a network works at, int64 [2], computed in the graph.

    Parameters
    ----------
    image : [B, H, W, 3] as the camera gave it; only its shape counts.
    pixels : largest area; 0: the image's own. As a buffer of the graph it can be changed in the
        file (see onnx_graph.working_resolution).
    multiple : both sides are rounded down to multiples of it (at least one of it); the aspect is
        kept but for that.
    enlarged : most that the sides of a small image are enlarged by.
    """
    shape = torch._shape_as_tensor(image)[1:3].to(torch.float32)
    scale = torch.ones(())
    if isinstance(pixels, Tensor) or pixels:
        scale = torch.clamp(torch.sqrt(pixels / (shape[0] * shape[1])), max=enlarged)
    # The small term keeps a side that is a multiple already from being rounded down.
    sides = torch.floor(shape * scale / multiple + 1e-3)
    return (torch.clamp(sides, min=1) * multiple).to(torch.int64)


def to_network(image: Tensor, size: Tensor) -> Tensor:
    """Normalised float B 3 h w of uint8 [B, H, W, 3]; size: int64 [2]."""
    planes = image.to(torch.float32).permute(0, 3, 1, 2)
    planes = planes * (1 / (255 * STD)) - MEAN / STD
    return resize(planes, size)


def resize(planes: Tensor, size: Tensor) -> Tensor:
    """Resize B C H W bilinearly to a size that may be computed in the graph, int64 [2]."""
    return F.interpolate(planes, size=(size[0], size[1]), mode='bilinear', align_corners=False)


def camera_size(image: Tensor) -> Tensor:
    """Height and width of [B, H, W, 3] as int64 [2], kept symbolic in the graph."""
    return torch._shape_as_tensor(image)[1:3]
