# SPDX-License-Identifier: Apache-2.0
"""The released stereo network: a row correlation at 1/4, aggregated in 2-D, soft-argmin, sigma."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import (
    ConvNorm,
    ResidualBlock,
    require_multiples,
    upsample_like,
)
from perception_nodes.networks.matching import (
    MatchingEncoder,
    convex_upsample,
    row_correlation,
    unit,
)

NETWORK_PIXELS = 640 * 350
"""Area that images are brought to, if they are larger: chosen by the curve in docs/depth.md."""


def soft_argmin(scores: Tensor, reach: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the level under the softmax of the scores (GC-Net, eq. 1).

    Parameters
    ----------
    scores : B D H W, larger is better.
    reach : if given, the mean is taken over the best level and as many on either side: between
        two surfaces that are both likely there is none. The deviation is over all levels.

    Returns
    -------
    B 1 H W each, in levels; computed in float32 whatever comes in.
    """
    probability = scores.float().softmax(1)
    level = torch.arange(scores.shape[1], device=scores.device, dtype=torch.float32)
    level = level[None, :, None, None]
    if reach:
        best = probability.detach().argmax(1, keepdim=True).float()
        near = probability * ((level - best).abs() <= reach).float()
        mean = (near * level).sum(1, keepdim=True) / near.sum(1, keepdim=True)
    else:
        mean = (probability * level).sum(1, keepdim=True)
    spread = (probability * (level - mean) ** 2).sum(1, keepdim=True)
    return mean, torch.sqrt(spread + 1e-4)


class CorrelationStereo(nn.Module):
    """Correlate features along the row, aggregate the scores in an hourglass, read disparity off.

    After DispNetC (2-D aggregation of a correlation) with GC-Net's soft-argmin and a log-scale
    head (Kendall & Gal 2017). The hourglass corrects the correlation rather than replacing it:
    even untrained features match, so training starts from a block matcher.

    Parameters
    ----------
    levels : disparities tried at 1/4; the largest disparity is 4 * (levels - 1) px.
    features : channels at 1/2 and 1/4 of the encoder.
    widths : channels of the hourglass at 1/4, 1/8, 1/16, 1/32.
    """

    def __init__(
        self, levels: int = 48, *, features: tuple[int, int] = (16, 32),
        widths: tuple[int, int, int, int] = (48, 64, 96, 128),
    ) -> None:
        super().__init__()
        self.levels = levels
        w4, w8, w16, w32 = widths
        self.encoder = MatchingEncoder(features)
        self.sharpness = nn.Parameter(torch.tensor(2.5))
        self.enter = ConvNorm(levels + features[1], w4)
        self.down8 = ResidualBlock(w4, w8, 2)
        self.down16 = nn.Sequential(ResidualBlock(w8, w16, 2), ResidualBlock(w16, w16))
        self.down32 = nn.Sequential(ResidualBlock(w16, w32, 2), ResidualBlock(w32, w32))
        self.up16 = ConvNorm(w32, w16, 1)
        self.mix16 = ConvNorm(w16, w16)
        self.up8 = ConvNorm(w16, w8, 1)
        self.mix8 = ConvNorm(w8, w8)
        self.up4 = ConvNorm(w8, w4, 1)
        self.mix4 = ConvNorm(w4, w4)
        self.scores = nn.Conv2d(w4, levels, 3, padding=1)
        self.refine = ConvNorm(w4 + features[1] + 2, w4)
        self.residual = nn.Conv2d(w4, 2, 3, padding=1)
        self.weights = nn.Conv2d(w4, 9 * 16, 1)
        for head in (self.scores, self.residual):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def aggregate(self, volume: Tensor) -> Tensor:
        """Run the hourglass: B C H/4 W/4 to B C' H/4 W/4."""
        x4 = self.enter(volume)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x = self.down32(x16)
        x = self.mix16(upsample_like(self.up16(x), x16) + x16)
        x = self.mix8(upsample_like(self.up8(x), x8) + x8)
        return self.mix4(upsample_like(self.up4(x), x4) + x4)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        """Match a rectified pair.

        Parameters
        ----------
        left, right : float B 3 H W, RGB 0..1; H and W multiples of 32.

        Returns
        -------
        disparity_px, log_scale : B 1 H W, pixels of this size and the log of the Laplace scale in
        pixels; scores : B levels H/4 W/4 of the disparities 0, 4, 8, ... px, before the softmax.
        """
        require_multiples(left, 32)
        both = self.encoder(torch.cat([left, right]))[0]
        own, other = both.chunk(2)
        volume = row_correlation(unit(own), unit(other), self.levels)
        x = self.aggregate(torch.cat([volume, own], 1))
        scores = volume * self.sharpness.exp() + self.scores(x)
        level, spread = soft_argmin(scores, reach=2)
        x = self.refine(torch.cat([x, own, (level / self.levels).to(x), spread.log().to(x)], 1))
        change = self.residual(x).float()
        disparity = F.relu(level + change[:, :1])
        log_scale = (spread.log() + change[:, 1:]).clamp(-3.5, 4.0)
        fine = convex_upsample(torch.cat([disparity, log_scale], 1), self.weights(x), 4)
        return {
            'disparity_px': 4 * fine[:, :1],
            'log_scale': fine[:, 1:] + 1.3863,  # log 4: levels to pixels
            'scores': scores,
        }
