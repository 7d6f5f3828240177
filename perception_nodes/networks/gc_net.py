# SPDX-License-Identifier: Apache-2.0
"""GC-Net as published: a volume of concatenated features, 3-D convolutions, soft-argmin."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.correlation_stereo import soft_argmin
from perception_nodes.networks.layers import ConvNorm, ResidualBlock, require_multiples


class Conv3dNorm(nn.Sequential):
    """3x3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm3d(channels_out), nn.ReLU(inplace=True),
        )


def concatenated_volume(left: Tensor, right: Tensor, levels: int) -> Tensor:
    """Put each left feature beside the right one 0 .. levels - 1 columns further left.

    Parameters
    ----------
    left, right : B C H W.

    Returns
    -------
    B 2C levels H W; 0 where the partner lies outside.
    """
    width = left.shape[3]
    slices = []
    for level in range(levels):
        inside = width - level
        pair = torch.cat([left[..., level:], right[..., :inside]], 1) if inside > 0 else None
        slices.append(left.new_zeros(left.shape[0], 2 * left.shape[1], *left.shape[2:])
                      if pair is None else F.pad(pair, (level, 0)))
    return torch.stack(slices, 2)


class GCNet(nn.Module):
    """End-to-end learning of geometry and context for deep stereo regression (Kendall 2017).

    Layer numbers are those of the paper's table 1; features 32 F, half the resolution, disparity
    by soft-argmin at the full one.

    Parameters
    ----------
    max_disparity : disparities 0 .. max_disparity - 1 px, a multiple of 32 (192 in the paper).
    features : F.
    """

    def __init__(self, max_disparity: int = 192, *, features: int = 32) -> None:
        super().__init__()
        f, self.levels = features, max_disparity // 2
        self.layers1_18 = nn.Sequential(
            ConvNorm(3, f, 5, stride=2), *(ResidualBlock(f, f) for _ in range(8)),
            nn.Conv2d(f, f, 3, padding=1),
        )
        self.layers19_20 = nn.Sequential(Conv3dNorm(2 * f, f), Conv3dNorm(f, f))
        widths = (2 * f, 2 * f, 2 * f, 2 * f, 4 * f)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(Conv3dNorm(a, b, 2) for a, b in pairs)  # 21, 24, 27, 30
        self.at = nn.ModuleList(  # 22-23, 25-26, 28-29, 31-32
            nn.Sequential(Conv3dNorm(b, b), Conv3dNorm(b, b)) for _, b in pairs
        )
        ups = ((4 * f, 2 * f), (2 * f, 2 * f), (2 * f, 2 * f), (2 * f, f))
        self.up = nn.ModuleList(  # 33-36
            nn.ConvTranspose3d(a, b, 3, 2, 1, 1, bias=False) for a, b in ups
        )
        self.norm = nn.ModuleList(nn.BatchNorm3d(b) for _, b in ups)
        self.layer37 = nn.ConvTranspose3d(f, 1, 3, 2, 1, 1)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        """Match a rectified pair.

        Parameters
        ----------
        left, right : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        disparity_px : B 1 H W; spread_px : B 1 H W, deviation of the softmax over disparities.
        """
        require_multiples(left, 32)
        own, other = self.layers1_18(2 * torch.cat([left, right]) - 1).chunk(2)
        x = concatenated_volume(own, other, self.levels)
        skips = [self.layers19_20(x)]
        for down, at in zip(self.down, self.at, strict=True):
            x = down(x)
            skips.append(at(x))
        x = skips.pop()
        for up, norm in zip(self.up, self.norm, strict=True):
            x = F.relu(norm(up(x)) + skips.pop())
        cost = self.layer37(x)[:, 0]
        disparity, spread = soft_argmin(-cost)
        return {'disparity_px': disparity, 'spread_px': spread}
