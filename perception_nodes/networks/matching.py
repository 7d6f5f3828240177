# SPDX-License-Identifier: Apache-2.0
"""What stereo and flow share: an encoder that is blind to gain, correlation, warping, upsampling.

Everything here exports to plain ONNX operators that TensorRT takes as well: MatMul and Gather
instead of hundreds of slices, GridSample in 4-D, no unfold.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.networks.layers import ConvNorm, ResidualBlock


def luminance_and_contrast(image: Tensor) -> Tensor:
    """Reduce an image to what two cameras, or two moments, agree on.

    Parameters
    ----------
    image : float B 3 H W, RGB 0..1.

    Returns
    -------
    float B 2 H W: luminance around 0, and luminance less the mean of the 9x9 pixels around it over
    their deviation, which a gain or an offset between the images does not change.
    """
    grey = sum(share * image[:, plane:plane + 1] for plane, share in enumerate(LUMINANCE))
    mean, variance = window_statistics(F.pad(grey, (4, 4, 4, 4), mode='replicate'))
    return torch.cat([2 * grey - 1, (grey - mean) / torch.sqrt(variance + 4e-4)], 1)


def window_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every 9x9 window: B C H W shrinks by 8 in height and width.

    Nine are three times three, so both are built up from three values at a time. The mean of
    squares less the square of the mean would lose a plain sky's variance in rounding, and networks
    would magnify that. With s the sum and v the variance of n values, ``q = n^2 v / 2`` of three
    such groups is ``3 (q1 + q2 + q3) + d^2 + d e + e^2``, d and e the steps between their sums.
    """
    total, spread = image, None
    for axis in (2, 3):
        for step in (1, 3):
            low, middle, high = thirds(total, axis, step)
            up, on = middle - low, high - middle
            between = up * up + on * (up + on)
            total = low + middle + high
            if spread is not None:
                low, middle, high = thirds(spread, axis, step)
                between = between + 3 * (low + middle + high)
            spread = between
    return total / 81, spread * (2 / 81**2)


def thirds(image: Tensor, axis: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the image at three places, a step apart along an axis that shrinks by two steps."""
    size = image.shape[axis] - 2 * step
    low, middle, high = (image.narrow(axis, i * step, size) for i in range(3))
    return low, middle, high


LUMINANCE = (0.299, 0.587, 0.114)
MOST_SHIFTED = 2
"""Largest radius of a window whose places are compared one by one."""


class MatchingEncoder(nn.Module):
    """Features at 1/4, 1/8, ... of one image, the same for both images of a pair.

    Parameters
    ----------
    widths : channels at 1/2, 1/4, 1/8, ...; as many levels as are given.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        half, quarter, *coarser = widths
        self.stem = nn.Sequential(
            ConvNorm(2, half, 5, stride=2), ConvNorm(half, half), ConvNorm(half, quarter, stride=2)
        )
        self.quarter = nn.Sequential(
            ResidualBlock(quarter, quarter), nn.Conv2d(quarter, quarter, 3, padding=1)
        )
        pairs = zip((quarter, *coarser), coarser, strict=False)
        self.coarser = nn.ModuleList(ResidualBlock(a, b, 2) for a, b in pairs)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map B 3 H W (0..1) to a list of B C H/4 W/4, B C' H/8 W/8, ..."""
        levels = [self.quarter(self.stem(luminance_and_contrast(image)))]
        for block in self.coarser:
            levels.append(block(levels[-1]))
        return levels


def unit(features: Tensor) -> Tensor:
    """Scale every pixel's feature vector to length one."""
    return features / torch.sqrt((features * features).sum(1, keepdim=True) + 1e-6)


def row_correlation(left: Tensor, right: Tensor, levels: int) -> Tensor:
    """Compare each left pixel with the right ones 0 .. levels - 1 columns further left.

    Parameters
    ----------
    left, right : B C H W of unit length over C.

    Returns
    -------
    B levels H W, cosines -1..1; 0 where the partner lies outside.
    """
    batch, _, height, width = left.shape
    pairs = left.permute(0, 2, 3, 1) @ right.permute(0, 2, 1, 3)  # B H W W', all of a row
    column = torch.arange(width, device=left.device)[:, None]
    partner = column - torch.arange(levels, device=left.device)[None, :]
    flat = (column * width + partner.clamp(min=0)).reshape(-1)
    near = pairs.reshape(batch, height, width * width).index_select(2, flat)
    near = near.reshape(batch, height, width, levels) * (partner >= 0).to(near.dtype)
    return near.permute(0, 3, 1, 2)


def local_correlation(features: Tensor, other: Tensor, radius: int, step: int = 1) -> Tensor:
    """Compare each pixel with the (2 radius + 1)^2 places around it in the other image.

    Parameters
    ----------
    features, other : B C H W of unit length over C. step : between places, pixels.

    Returns
    -------
    B (2r+1)^2 H W, cosines -1..1, rows of the window first; 0 where the partner lies outside.
    """
    batch, _, height, width = features.shape
    side = 2 * radius + 1
    reach = radius * step
    wide = width + 2 * reach
    padded = F.pad(other, (reach, reach, reach, reach))
    places = range(0, 2 * reach + 1, step)
    if radius <= MOST_SHIFTED:
        return torch.stack([
            (features * padded[:, :, dy:dy + height, dx:dx + width]).sum(1)
            for dy in places for dx in places
        ], 1)
    rows = torch.stack([padded[:, :, dy:dy + height] for dy in places], 1)
    # All pairs within a row, then the band that is near: for wide windows one matrix product for
    # each of side rows is faster than side^2 products of shifted maps.
    pairs = features.permute(0, 2, 3, 1)[:, None] @ rows.permute(0, 1, 3, 2, 4)
    column = torch.arange(width, device=features.device)[:, None]
    near = column * wide + column + step * torch.arange(side, device=features.device)[None, :]
    band = pairs.reshape(batch, side, height, width * wide).index_select(3, near.reshape(-1))
    band = band.reshape(batch, side, height, width, side)
    return band.permute(0, 1, 4, 2, 3).reshape(batch, side * side, height, width)


def pixel_grid(like: Tensor) -> Tensor:
    """Coordinates (x, y) of every pixel, float32 1 2 H W, pixels."""
    height, width = like.shape[2:]
    y = torch.arange(height, device=like.device, dtype=torch.float32)[:, None].expand(-1, width)
    x = torch.arange(width, device=like.device, dtype=torch.float32)[None, :].expand(height, -1)
    return torch.stack([x, y])[None]


def warp(older: Tensor, flow_px: Tensor) -> Tensor:
    """Bring the older image onto the newest grid: sample it at ``p - flow(p)``.

    Parameters
    ----------
    older : B C H W. flow_px : B 2 H W, pixels of this grid (see types.Flow).

    Returns
    -------
    B C H W; 0 where the sample lies outside.
    """
    height, width = older.shape[2:]
    at = pixel_grid(flow_px) - flow_px.float()
    x = at[:, 0] * (2.0 / (width - 1)) - 1
    y = at[:, 1] * (2.0 / (height - 1)) - 1
    # Always in float32: half precision cannot resolve neighbouring columns.
    moved = F.grid_sample(
        older.float(), torch.stack([x, y], -1), mode='bilinear', padding_mode='zeros',
        align_corners=True,
    )
    return moved.to(older.dtype)


def convex_upsample(values: Tensor, weights: Tensor, factor: int) -> Tensor:
    """Refine a map by learned convex combinations of each coarse pixel's 3x3 (RAFT, 2020).

    Parameters
    ----------
    values : B C H W. weights : logits B 9 factor^2 H W (any shape with as many channels).

    Returns
    -------
    B C H*factor W*factor.
    """
    height, width = values.shape[2:]
    logits = weights.reshape(-1, 9, factor * factor, height, width).float()
    # The softmax by hand: over an axis in the middle ONNX Runtime's own takes five times as long.
    share = torch.exp(logits - logits.amax(1, keepdim=True))
    share = share / share.sum(1, keepdim=True)
    padded = F.pad(values, (1, 1, 1, 1), mode='replicate')
    fine = [
        sum(
            share[:, 3 * dy + dx] * padded[:, channel, None, dy:dy + height, dx:dx + width]
            for dy in range(3) for dx in range(3)
        )
        for channel in range(values.shape[1])
    ]
    return F.pixel_shuffle(torch.cat(fine, 1), factor)
