# SPDX-License-Identifier: Apache-2.0
"""PSPNet: averages over a pyramid of regions, beside what they are averages of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, upsample_like
from perception_nodes.networks.residual_encoder import ResidualEncoder


class PSPNet(nn.Module):
    """PSPNet (Zhao et al. 2017) on a dilated ResNet-18, bins 1, 2, 3 and 6, auxiliary loss."""

    def __init__(
        self, classes: int = 11, *, widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        bins: tuple[int, ...] = (1, 2, 3, 6),
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(widths, output_stride=8)
        self.bins = bins
        share = widths[3] // len(bins)
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[3], share, 1), nn.ReLU(inplace=True)) for _ in bins
        )
        self.join = nn.Sequential(
            ConvNorm(widths[3] + share * len(bins), widths[3] // 2), nn.Dropout2d(0.1)
        )
        self.classify = nn.Conv2d(widths[3] // 2, classes, 1)
        self.auxiliary = nn.Conv2d(widths[2], classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map a normalised float B 3 H W to logits B K H/8 W/8; in training also auxiliary."""
        *_, third, x = self.encoder(image)
        parts = [x] + [
            upsample_like(project(F.adaptive_avg_pool2d(x, size)), x)
            for size, project in zip(self.bins, self.pooled, strict=True)
        ]
        result = {'logits': self.classify(self.join(torch.cat(parts, 1)))}
        if self.training:
            result['auxiliary'] = self.auxiliary(third)
        return result
