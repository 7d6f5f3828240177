# SPDX-License-Identifier: Apache-2.0
"""The released mono depth network: the segmentation network's eyes and a depth head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.bayesian_context_net import BayesianContextNet
from perception_nodes.networks.layers import ConvNorm, require_multiples, upsample_like

MEAN, STD = 0.45, 0.25
FOCAL_PX = 384.0
"""Focal length that depth is learned for, pixels of the size that the network works at."""
SEGMENTATION_HEAD = ('head_context', 'head_mix', 'head_out', 'auxiliary')


class MonoDepthNet(nn.Module):
    """Depth from semantics: encoder and decoder of BayesianContextNet with a depth head.

    Depth is learned for one focal length, FOCAL_PX: a convolution measures in pixels, and pixels
    mean the same metres only at the same focal length. The graph multiplies by the true one, so
    that one network serves every lens.

    Parameters
    ----------
    width : channels of the head.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.seeing = BayesianContextNet(dropout=0.0)
        channels = self.seeing.context, self.seeing.head
        for name in SEGMENTATION_HEAD:
            delattr(self.seeing, name)
        # What class logits are corrected by, half a step finer than the detail, is read as it is.
        self.seeing.refine_out = nn.Identity()
        # Two channels hold the pixel's position: on a road, depth depends on the row.
        self.place = ConvNorm(channels[0] + 2, width)
        self.spread = ConvNorm(width, width, dilation=4)
        self.detail = ConvNorm(channels[1], width, 1, relu=False)
        self.mix = ConvNorm(width, width)
        self.out = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Estimate depth.

        Parameters
        ----------
        image : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        log_depth : B 1 H W, log of metres for a focal length of FOCAL_PX; log_scale : B 1 H W, log
        of the Laplace scale of log_depth.
        """
        require_multiples(image, 32)
        context, _, detail = self.seeing.encode((image - MEAN) / STD)
        batch, _, height, width = context.shape
        # In lengths of the lens, not in sizes of the image: a taller one shows more.
        y = (torch.arange(height, device=image.device) - 0.5 * (height - 1)) * (8 / FOCAL_PX)
        x = (torch.arange(width, device=image.device) - 0.5 * (width - 1)) * (8 / FOCAL_PX)
        y, x = y[None, None, :, None], x[None, None, None, :]
        where = [y.expand(batch, 1, height, width), x.expand(batch, 1, height, width)]
        found = self.place(torch.cat([context, *(axis.to(context.dtype) for axis in where)], 1))
        found = found + self.spread(found)
        detail = self.detail(detail)
        found = self.mix(F.relu(upsample_like(found, detail) + detail))
        fine = upsample_like(self.out(found).float(), image)
        return {
            'log_depth': (fine[:, :1] + 2.5).clamp(-2.0, 6.0),
            # Not under 5 %: the sky's depth is always the same, and certainty of that would drown
            # everything else.
            'log_scale': (fine[:, 1:] - 1.5).clamp(-3.0, 2.0),
        }
