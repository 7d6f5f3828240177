# SPDX-License-Identifier: Apache-2.0
"""U-Net: every resolution of the encoder is handed to the decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, require_multiples


class UNet(nn.Module):
    """U-Net (Ronneberger, Fischer & Brox 2015), padded so that sizes are kept, with batch norm."""

    def __init__(
        self, classes: int = 11, *, widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    ) -> None:
        super().__init__()
        sizes = (3, *widths)
        self.down = nn.ModuleList(
            _double(a, b) for a, b in zip(sizes, widths, strict=False)
        )
        pairs = list(zip(widths[1:], widths, strict=False))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
        self.merge = nn.ModuleList(_double(2 * b, b) for _, b in pairs)
        self.classify = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map a normalised float B 3 H W (multiples of 16) to logits B K H W."""
        require_multiples(image, 16)
        x, kept = image, []
        for index, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if index else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([kept.pop(), up(x)], 1))
        return {'logits': self.classify(x)}


def _double(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels_in, channels_out), ConvNorm(channels_out, channels_out)
    )
