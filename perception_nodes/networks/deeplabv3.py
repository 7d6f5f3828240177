# SPDX-License-Identifier: Apache-2.0
"""DeepLabv3: atrous convolutions of several rates side by side."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm
from perception_nodes.networks.residual_encoder import ResidualEncoder


class DeepLabV3(nn.Module):
    """DeepLabv3 (Chen et al. 2017) on ResNet-18, output stride 16, rates 6, 12, 18."""

    def __init__(
        self, classes: int = 11, *, widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        pyramid: int = 256, rates: tuple[int, ...] = (6, 12, 18),
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(widths, output_stride=16)
        self.branches = nn.ModuleList([ConvNorm(widths[3], pyramid, 1)])
        self.branches.extend(ConvNorm(widths[3], pyramid, dilation=rate) for rate in rates)
        # No norm here: one value a channel and image has no variance in a batch of one.
        self.whole = nn.Sequential(nn.Conv2d(widths[3], pyramid, 1), nn.ReLU(inplace=True))
        self.join = nn.Sequential(
            ConvNorm(pyramid * (len(rates) + 2), pyramid, 1), nn.Dropout(0.1)
        )
        self.classify = nn.Sequential(ConvNorm(pyramid, pyramid), nn.Conv2d(pyramid, classes, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map a normalised float B 3 H W to logits B K H/16 W/16."""
        x = self.encoder(image)[-1]
        whole = self.whole(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, *x.shape[2:])
        joined = self.join(torch.cat([branch(x) for branch in self.branches] + [whole], 1))
        return {'logits': self.classify(joined)}
