# SPDX-License-Identifier: Apache-2.0
"""The released features network: keypoints and descriptors in one light pass."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, ResidualBlock, require_multiples

CELL = 8


class Fold(ConvNorm):
    """Fold blocks of pixels into channels and mix them: one strided convolution in effect."""

    def __init__(self, channels_in: int, channels_out: int, block: int) -> None:
        super().__init__(channels_in * block**2, channels_out, 1)
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Map B C H W to B C' H/block W/block."""
        convolution, norm, relu = self
        weight = convolution.weight.view(-1, x.shape[1], self.block, self.block)
        return relu(norm(F.conv2d(x, weight, stride=self.block)))


class KeypointNet(nn.Module):
    """Convolutional encoder to 1/16, heads at 1/8 (after SuperPoint, DeTone et al. 2018).

    The detector also sees the features at 1/2, folded into the cells: a corner's place inside its
    cell is not to be found in what has been strided away.

    Parameters
    ----------
    widths : channels at 1/2, 1/4, 1/8, 1/16. descriptor : numbers of a descriptor.
    """

    def __init__(
        self, *, widths: tuple[int, int, int, int] = (16, 24, 64, 96), descriptor: int = 64
    ) -> None:
        super().__init__()
        w2, w4, w8, w16 = widths
        self.stem = nn.Sequential(ConvNorm(1, w2, stride=2), ConvNorm(w2, w2))
        self.stage4 = nn.Sequential(ConvNorm(w2, w4, stride=2), ConvNorm(w4, w4))
        self.stage8 = ResidualBlock(w4, w8, 2)
        self.stage16 = nn.Sequential(ResidualBlock(w8, w16, 2), ResidualBlock(w16, w16))
        self.up8 = ConvNorm(w16, w8, 1, relu=False)
        self.mix8 = ConvNorm(w8, w8)
        self.fine = Fold(w2, w8, CELL // 2)
        self.detector = nn.Sequential(
            ConvNorm(2 * w8, 2 * w8, 1), nn.Conv2d(2 * w8, CELL**2 + 1, 1)
        )
        self.descriptor = nn.Sequential(ConvNorm(w8, w8), nn.Conv2d(w8, descriptor, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Find and describe.

        Parameters
        ----------
        image : float B 3 H W, normalised RGB; H and W multiples of 16. Colour is not used.

        Returns
        -------
        logits : B 65 H/8 W/8, for each cell its 64 pixels row by row and "none of them".
        descriptors : B D H/8 W/8, unit length.
        """
        require_multiples(image, 16)
        x2 = self.stem(image.mean(1, keepdim=True))
        x8 = self.stage8(self.stage4(x2))
        x16 = self.stage16(x8)
        wide = F.interpolate(
            self.up8(x16), scale_factor=2.0, mode='bilinear', align_corners=False
        )
        x8 = self.mix8(F.relu(x8 + wide))
        fine = self.fine(x2)
        logits = self.detector(torch.cat([x8, fine], 1))
        return {'logits': logits, 'descriptors': F.normalize(self.descriptor(x8), dim=1)}
