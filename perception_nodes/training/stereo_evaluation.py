# SPDX-License-Identifier: Apache-2.0
"""Stereo on recorded pairs that are held out, at the size that the released graph works at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.geometry.stereo import disparity_from_depth
from perception_nodes.networks.correlation_stereo import NETWORK_PIXELS
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.types import Array, FloatArray


@dataclass(frozen=True)
class MeasuredPair:
    """Images uint8 [H, W] or [H, W, 3] and the left one's disparity [H, W], NaN = not counted."""

    left: Array
    right: Array
    disparity_px: FloatArray


def held_out_sets(root: Path) -> dict[str, list[MeasuredPair]]:
    """KITTI 2015, Middlebury and the scans of the drive's held-out part, by name."""
    benchmarks = {
        'kitti': KittiStereo(root / 'kitti_stereo_2015'),
        'middlebury': MiddleburyStereo(root / 'middlebury_stereo'),
    }
    sets = {
        name: [
            MeasuredPair(
                pair.left.data, pair.right.data,
                np.where(pair.visible, pair.disparity_px, np.float32(np.nan)),
            )
            for pair in samples
        ]
        for name, samples in benchmarks.items()
    }
    return sets | {'drive': drive_set(root)}


def drive_set(root: Path, split: str = 'held_out') -> list[MeasuredPair]:
    """Frames of the drive that have a scan."""
    drive = KittiDrive(root / 'kitti_drive_0926', split)
    frames = [drive[number] for number in drive.with_depth()]
    return [
        MeasuredPair(
            frame.left.data, frame.right.data,
            disparity_from_depth(frame.depth_m, frame.rig.focal_px, frame.rig.baseline_m),
        )
        for frame in frames if frame.depth_m is not None
    ]


class RecordedStereoEvaluation:
    """Error and coverage of sigma on sets of pairs; names begin with the set's.

    d1: share of pixels that are off by over 3 px and 5 %; bad2: by over 2 px; epe_px; coverage1,
    coverage2: shares inside one and two sigmas before calibration. Means over the pairs.
    """

    def __init__(
        self, sets: Mapping[str, Sequence[MeasuredPair]], every: int = 1,
        pixels: int = NETWORK_PIXELS,
    ) -> None:
        self.sets, self.every, self.pixels = sets, every, pixels

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        result = {}
        for name, pairs in self.sets.items():
            found = [self._of_pair(network, pair) for pair in pairs[:: self.every]]
            result |= {
                f'{name}_{key}': float(np.mean([scores[key] for scores in found]))
                for key in found[0]
            }
        return result

    def _of_pair(self, network: nn.Module, pair: MeasuredPair) -> dict[str, float]:
        disparity, sigma = estimate(network, pair, self.pixels)
        known = np.isfinite(pair.disparity_px)
        truth = pair.disparity_px[known]
        error, sigma = np.abs(disparity[known] - truth), sigma[known]
        return {
            'd1': float(np.mean((error > 3) & (error > 0.05 * truth))),
            'bad2': float(np.mean(error > 2)), 'epe_px': float(error.mean()),
            'coverage1': float(np.mean(error < sigma)),
            'coverage2': float(np.mean(error < 2 * sigma)),
        }


def signed_errors(
    network: nn.Module, pairs: Sequence[MeasuredPair], pixels: int = NETWORK_PIXELS
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors and sigmas before calibration, float32 [N] px, of each pair in turn."""
    for pair in pairs:
        disparity, sigma = estimate(network, pair, pixels)
        known = np.isfinite(pair.disparity_px)
        yield disparity[known] - pair.disparity_px[known], sigma[known]


def estimate(
    network: nn.Module, pair: MeasuredPair, pixels: int = NETWORK_PIXELS
) -> tuple[FloatArray, FloatArray]:
    """Run a network as the released graph does; disparity and sigma float32 [H, W] px."""
    device = next(network.parameters()).device
    height, width = pair.left.shape[:2]
    shrunk = min(1.0, math.sqrt(pixels / (height * width)))
    size = [max(1, math.floor(side * shrunk / 32 + 1e-3)) * 32 for side in (height, width)]
    left, right = (
        F.avg_pool2d(
            F.interpolate(
                torch.from_numpy(in_colour(image)).permute(2, 0, 1)[None].float() / 255,
                size=[2 * side for side in size], mode='bilinear',
            ), 2,
        ).to(device, memory_format=torch.channels_last)
        for image in (pair.left, pair.right)
    )
    out = network(left, right)
    sigma = out['log_scale'].exp() * math.sqrt(2)
    maps = torch.cat([out['disparity_px'], sigma], 1).float().cpu()
    full = F.interpolate(maps, size=(height, width), mode='bilinear')[0] * (width / size[1])
    return full[0].numpy(), full[1].numpy()
