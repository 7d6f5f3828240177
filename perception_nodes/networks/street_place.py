# SPDX-License-Identifier: Apache-2.0
"""The released place descriptor: a residual encoder and generalised-mean pooling."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, ResidualBlock


class StreetPlace(nn.Module):
    """One unit vector for what a picture shows.

    Pooling is the generalised mean (Radenovic et al. 2019) over the whole picture and over its
    left, middle and right third: places differ by what stands where. The numbers are whitened by
    a batch norm before the vector gets unit length, so that none dominates.

    Parameters
    ----------
    widths : channels at 1/2, 1/4, 1/8, 1/16. descriptor : numbers of the descriptor.
    """

    def __init__(
        self, *, widths: tuple[int, int, int, int] = (16, 32, 64, 128), descriptor: int = 256
    ) -> None:
        super().__init__()
        w2, w4, w8, w16 = widths
        self.body = nn.Sequential(
            ConvNorm(3, w2, stride=2), ConvNorm(w2, w4, stride=2), ResidualBlock(w4, w8, 2),
            ResidualBlock(w8, w16, 2), ResidualBlock(w16, w16),
        )
        self.power = nn.Parameter(torch.tensor(3.0))
        self.out = nn.Linear(4 * w16, descriptor)
        self.whiten = nn.BatchNorm1d(descriptor, affine=False)

    def forward(self, image: Tensor) -> Tensor:
        """Descriptor B D, unit length, of float B 3 H W, normalised RGB, W at least 48."""
        x = self.body(image).float().clamp(min=1e-4)
        power = self.power.clamp(1.0, 8.0)
        raised = x.pow(power)
        left, right = raised.shape[-1] // 3, raised.shape[-1] - raised.shape[-1] // 3
        parts = (raised, raised[..., :left], raised[..., left:right], raised[..., right:])
        pooled = torch.cat([part.mean((2, 3)) for part in parts], 1).pow(1 / power)
        return F.normalize(self.whiten(self.out(pooled)), dim=1)
