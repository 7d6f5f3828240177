# SPDX-License-Identifier: Apache-2.0
"""The released flow network: correlation at 1/16, three warped refinements, sigma."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, ResidualBlock, require_multiples
from perception_nodes.networks.matching import (
    MatchingEncoder,
    convex_upsample,
    local_correlation,
    unit,
    warp,
)

NETWORK_PIXELS = 640 * 350
"""Area that images are brought to: chosen by the curve in docs/flow.md."""
ENLARGED = 1.5
"""Most that small images are enlarged by."""


class FlowLevel(nn.Module):
    """One level of the pyramid: warp, compare with a window, take the best place, correct.

    As in CorrelationStereo the learned part corrects scores that start as plain correlation.
    """

    def __init__(self, features: int, carried: int, width: int, radius: int) -> None:
        super().__init__()
        self.radius = radius
        places = (2 * radius + 1) ** 2
        # Features end in ReLU, so all of them look alike; compared is what a projection centres.
        self.compare = nn.Conv2d(features, features, 1)
        self.sharpness = nn.Parameter(torch.tensor(2.5))
        self.mix = nn.Sequential(
            ConvNorm(places + features + carried + 3, width),
            ResidualBlock(width, width), ConvNorm(width, width, dilation=2),
            ConvNorm(width, width),
        )
        self.scores = nn.Conv2d(width, places, 3, padding=1)
        self.change = nn.Conv2d(width, 3, 3, padding=1)
        for head in (self.scores, self.change):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(
        self, newest: Tensor, older: Tensor, state: Tensor, carried: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Correct the state.

        Parameters
        ----------
        newest, older : features B C H W.
        state : B 3 H W: flow (x, y) in pixels of this level and log-scale.
        carried : B C' H W from the level above; None at the first.

        Returns
        -------
        The corrected state; what is carried on; the scores of the window's places, B places H W.
        """
        own, other = unit(self.compare(newest)), unit(self.compare(older))
        if carried is not None:
            other = warp(other, state[:, :2])
        cosines = local_correlation(own, other, self.radius)
        parts = [cosines, newest, state.to(newest.dtype)]
        x = self.mix(torch.cat(parts if carried is None else [*parts, carried], 1))
        scores = cosines * self.sharpness.exp() + self.scores(x)
        offset, spread = window_mean(scores, self.radius)
        change = self.change(x).float()
        # The match lies at p + offset in the warped image: the point moved by so much less.
        flow = state[:, :2] - offset + change[:, :2]
        return torch.cat([flow, spread.log() + change[:, 2:]], 1), x, scores


def window_mean(scores: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Mean place and deviation under the softmax over a window's places, in float32.

    Parameters
    ----------
    scores : B (2r+1)^2 H W, rows of the window first.

    Returns
    -------
    B 2 H W (x, y), -r..r, and B 1 H W, both in pixels.
    """
    probability = scores.float().softmax(1)
    side = torch.arange(-radius, radius + 1, device=scores.device, dtype=torch.float32)
    x = side.repeat(len(side))[None, :, None, None]
    y = side.repeat_interleave(len(side))[None, :, None, None]
    mean_x = (probability * x).sum(1, keepdim=True)
    mean_y = (probability * y).sum(1, keepdim=True)
    squared = (probability * ((x - mean_x) ** 2 + (y - mean_y) ** 2)).sum(1, keepdim=True)
    return torch.cat([mean_x, mean_y], 1), torch.sqrt(0.5 * squared + 1e-4)


class PyramidFlow(nn.Module):
    """Coarse to fine from 1/16 to 1/4, then convex upsampling (after PWC-Net 2018, RAFT 2020).

    Parameters
    ----------
    features : channels at 1/2, 1/4, 1/8, 1/16 of the encoder.
    widths, radii : channels and search radius at 1/16, 1/8, 1/4. The largest motion seen is about
        16 * radii[0] px of the size given.
    refined : channels of a last level, at 1/4 again: warped by what the others found, matches
        lie within a pixel, and what remains is read off more exactly.
    """

    def __init__(
        self, *, features: tuple[int, int, int, int] = (16, 32, 48, 64),
        widths: tuple[int, int, int] = (80, 64, 48), radii: tuple[int, int, int] = (4, 3, 2),
        refined: int = 32,
    ) -> None:
        super().__init__()
        self.encoder = MatchingEncoder(features)
        carried = (0, *widths[:-1])
        self.levels = nn.ModuleList(
            FlowLevel(channels, given, width, radius) for channels, given, width, radius
            in zip(reversed(features[1:]), carried, widths, radii, strict=True)
        )
        self.refine = FlowLevel(features[1], widths[-1], refined, 1)
        self.weights = nn.Conv2d(widths[-1], 9 * 16, 1)

    def forward(self, image0: Tensor, image1: Tensor) -> dict[str, Tensor | list[Tensor]]:
        """Find the motion from the older image to the newest, on the grid of the newest.

        Parameters
        ----------
        image0, image1 : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        flow_px : B 2 H W, pixels (see types.Flow); log_scale : B 1 H W, log of the Laplace scale
        in pixels. Of the levels 1/16, 1/8, 1/4, 1/4, each in its own pixels: start and flows,
        B 2 h w before and after; scores : B places h w of the window between.
        """
        require_multiples(image0, 32)
        pyramid = self.encoder(torch.cat([image0, image1]))
        starts: list[Tensor] = []
        flows: list[Tensor] = []
        scores: list[Tensor] = []
        state = carried = None
        for level, both in zip(self.levels, reversed(pyramid), strict=True):
            older, newest = both.chunk(2)
            if state is None or carried is None:
                state = torch.zeros_like(newest[:, :3], dtype=torch.float32)
            else:
                # Each level answers for itself (RAFT detaches likewise).
                state = F.interpolate(state.detach(), scale_factor=2.0, mode='bilinear')
                state = torch.cat([2 * state[:, :2], state[:, 2:] + 0.6931], 1)
                carried = F.interpolate(carried, scale_factor=2.0, mode='bilinear')
            starts.append(state[:, :2])
            state, carried, places = level(newest, older, state, carried)
            flows.append(state[:, :2])
            scores.append(places)
        older, newest = pyramid[0].chunk(2)
        start = state.detach()
        state, _, places = self.refine(newest, older, start, carried)
        starts.append(start[:, :2])
        flows.append(state[:, :2])
        scores.append(places)
        fine = convex_upsample(state, self.weights(carried), 4)
        return {
            'flow_px': 4 * fine[:, :2],
            'log_scale': fine[:, 2:].clamp(-4.0, 4.0) + 1.3863,  # log 4: to pixels
            'start': starts, 'flows': flows, 'scores': scores,
        }
