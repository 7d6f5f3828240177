# SPDX-License-Identifier: Apache-2.0
"""The released mono depth network: a light encoder-decoder that sees the whole picture."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, PyramidContext, ResidualBlock, upsample_like


class StreetMono(nn.Module):
    """Residual encoder to 1/32 with context, decoder to 1/4, log-depth and its log-scale.

    Depth is learned for a camera of focal length one picture width; the graph multiplies it by
    the true focal length, so that one network serves every lens.

    Parameters
    ----------
    widths : channels at 1/2, 1/4, 1/8, 1/16, 1/32.
    head : channels of the decoder at 1/4.
    """

    def __init__(
        self, *, widths: tuple[int, int, int, int, int] = (16, 24, 48, 96, 128), head: int = 32
    ) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        # Two more channels say where a pixel is: on a road, row and depth go together.
        self.stem = nn.Sequential(ConvNorm(5, w2, stride=2), ConvNorm(w2, w4, stride=2))
        self.stage4 = ResidualBlock(w4, w4)
        self.stage8 = ResidualBlock(w4, w8, 2)
        self.stage16 = nn.Sequential(ResidualBlock(w8, w16, 2), ResidualBlock(w16, w16))
        self.stage32 = nn.Sequential(ResidualBlock(w16, w32, 2), ResidualBlock(w32, w32))
        self.context = PyramidContext(w32, w16)
        self.mix16 = ConvNorm(w16, w16)
        self.up8 = ConvNorm(w16, w8, 1)
        self.mix8 = ConvNorm(w8, w8)
        self.up4 = ConvNorm(w8, head, 1)
        self.skip4 = ConvNorm(w4, head, 1, relu=False)
        self.mix4 = ConvNorm(head, head)
        self.out = nn.Conv2d(head, 2, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Estimate depth.

        Parameters
        ----------
        image : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        log_depth : B 1 H W, log of metres for a focal length of W pixels; log_scale : B 1 H W, log
        of the Laplace scale of log_depth.
        """
        batch, _, height, width = image.shape
        y = torch.linspace(-1, 1, height, device=image.device)[None, None, :, None]
        x = torch.linspace(-1, 1, width, device=image.device)[None, None, None, :]
        where = [y.expand(batch, 1, height, width), x.expand(batch, 1, height, width)]
        x4 = self.stage4(self.stem(torch.cat([2 * image - 1, *where], 1)))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x = self.context(self.stage32(x16))
        x = self.mix16(upsample_like(x, x16) + x16)
        x = self.mix8(upsample_like(self.up8(x), x8) + x8)
        x = self.mix4(F.relu(upsample_like(self.up4(x), x4) + self.skip4(x4)))
        fine = upsample_like(self.out(x), image).float()
        return {
            'log_depth': (fine[:, :1] + 2.5).clamp(-2.0, 6.0),
            # Not under 5 %: the sky's depth is always the same, and certainty of that would drown
            # everything else.
            'log_scale': (fine[:, 1:] - 1.5).clamp(-3.0, 2.0),
        }
