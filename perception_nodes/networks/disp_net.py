# SPDX-License-Identifier: Apache-2.0
"""The encoder-decoder of Monodepth and SfMLearner, after DispNet: a sigmoid at four scales."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import upsample_like

ENCODER = ((32, 7), (64, 5), (128, 3), (256, 3), (512, 3), (512, 3), (512, 3))
DECODER = (512, 512, 256, 128, 64, 32, 16)
SCALES = 4


class DispNet(nn.Module):
    """Seven halvings, seven doublings with skips, an output at 1/8, 1/4, 1/2 and 1.

    Parameters
    ----------
    outputs : channels of each output.
    elu : ELU (Monodepth) or ReLU (SfMLearner).
    """

    def __init__(self, outputs: int, *, elu: bool) -> None:
        super().__init__()
        self.activation = F.elu if elu else F.relu
        channels, down = 3, []
        for width, kernel in ENCODER:
            down += [nn.Conv2d(channels, width, kernel, 1, kernel // 2),
                     nn.Conv2d(width, width, kernel, 2, kernel // 2)]
            channels = width
        self.down = nn.ModuleList(down)
        skips = [width for width, _ in ENCODER[-2::-1]] + [0]
        self.up, self.mix, self.out = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        given = 0
        for index, (width, skip) in enumerate(zip(DECODER, skips, strict=True)):
            self.up.append(nn.Conv2d(channels, width, 3, padding=1))
            self.mix.append(nn.Conv2d(width + skip + given, width, 3, padding=1))
            if index >= len(DECODER) - SCALES:
                self.out.append(nn.Conv2d(width, outputs, 3, padding=1))
                given = outputs
            channels = width

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map float B 3 H W, 0..1, to sigmoids B outputs h w at 1, 1/2, 1/4, 1/8."""
        x, skips = 2 * image - 1, []
        for first, second in zip(self.down[::2], self.down[1::2], strict=True):
            x = self.activation(second(self.activation(first(x))))
            skips.append(x)
        skips = [image, *skips[:-1]]
        found: list[Tensor] = []
        for index, (up, mix) in enumerate(zip(self.up, self.mix, strict=True)):
            like = skips[-1 - index]
            parts = [self.activation(up(upsample_like(x, like)))]
            if index < len(DECODER) - 1:
                parts.append(like)
            if found:
                parts.append(upsample_like(found[-1], like))
            x = self.activation(mix(torch.cat(parts, 1)))
            scale = index - (len(DECODER) - SCALES)
            if scale >= 0:
                found.append(torch.sigmoid(self.out[scale](x)))
        return found[::-1]
