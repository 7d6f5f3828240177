# SPDX-License-Identifier: Apache-2.0
"""The released flow network: correlation at 1/16, two warped refinements, sigma."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, ResidualBlock
from perception_nodes.networks.matching import (
    MatchingEncoder,
    convex_upsample,
    local_correlation,
    unit,
    warp,
)


class FlowLevel(nn.Module):
    """One level of the pyramid: warp, correlate, correct flow and log-scale."""

    def __init__(self, features: int, carried: int, width: int, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.mix = nn.Sequential(
            ConvNorm((2 * radius + 1) ** 2 + features + carried + 3, width),
            ResidualBlock(width, width), ConvNorm(width, width, dilation=2),
            ConvNorm(width, width),
        )
        self.change = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(
        self, newest: Tensor, older: Tensor, state: Tensor, carried: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Correct the state.

        Parameters
        ----------
        newest, older : features B C H W.
        state : B 3 H W: flow (x, y) in pixels of this level and log-scale.
        carried : B C' H W from the level above; None at the first.

        Returns
        -------
        The corrected state, and what is carried on.
        """
        moved = warp(older, state[:, :2]) if carried is not None else older
        parts = [
            local_correlation(unit(newest), unit(moved), self.radius), newest,
            state.to(newest.dtype),
        ]
        x = self.mix(torch.cat(parts if carried is None else [*parts, carried], 1))
        return state + self.change(x).float(), x


class StreetFlow(nn.Module):
    """Coarse to fine from 1/16 to 1/4, then convex upsampling (after PWC-Net 2018, RAFT 2020).

    Parameters
    ----------
    features : channels at 1/2, 1/4, 1/8, 1/16 of the encoder.
    widths, radii : channels and search radius at 1/16, 1/8, 1/4. The largest motion seen is about
        16 * radii[0] px of the size given.
    """

    def __init__(
        self, *, features: tuple[int, int, int, int] = (16, 32, 48, 64),
        widths: tuple[int, int, int] = (80, 64, 48), radii: tuple[int, int, int] = (4, 3, 2),
    ) -> None:
        super().__init__()
        self.encoder = MatchingEncoder(features)
        carried = (0, *widths[:-1])
        self.levels = nn.ModuleList(
            FlowLevel(channels, given, width, radius) for channels, given, width, radius
            in zip(reversed(features[1:]), carried, widths, radii, strict=True)
        )
        self.weights = nn.Conv2d(widths[-1], 9 * 16, 1)

    def forward(self, image0: Tensor, image1: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Find the motion from the older image to the newest, on the grid of the newest.

        Parameters
        ----------
        image0, image1 : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        flow_px : B 2 H W, pixels (see types.Flow); log_scale : B 1 H W, log of the Laplace scale
        in pixels; coarse_px : flows B 2 h w at 1/16, 1/8, 1/4, in pixels of the full size.
        """
        pyramid = self.encoder(torch.cat([image0, image1]))
        coarse_px: list[Tensor] = []
        state = carried = None
        for level, both in zip(self.levels, reversed(pyramid), strict=True):
            older, newest = both.chunk(2)
            if state is None or carried is None:
                state = torch.zeros_like(newest[:, :3], dtype=torch.float32)
            else:
                state = F.interpolate(state, scale_factor=2.0, mode='bilinear')
                state = torch.cat([2 * state[:, :2], state[:, 2:] + 0.6931], 1)
                carried = F.interpolate(carried, scale_factor=2.0, mode='bilinear')
            state, carried = level(newest, older, state, carried)
            coarse_px.append(state[:, :2] * (image1.shape[3] // state.shape[3]))
        fine = convex_upsample(state, self.weights(carried), 4)
        return {
            'flow_px': 4 * fine[:, :2],
            'log_scale': fine[:, 2:].clamp(-5.0, 4.0) + 1.3863,  # log 4: to pixels
            'coarse_px': coarse_px,
        }
