# SPDX-License-Identifier: Apache-2.0
"""Stereo on recorded pairs that are held out, at the size that the released graph works at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.samples import StereoPair
from perception_nodes.geometry.stereo import disparity_from_depth
from perception_nodes.networks.correlation_stereo import NETWORK_PIXELS
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.types import Array, FloatArray, PerceptionError


@dataclass(frozen=True)
class MeasuredPair:
    """Images uint8 [H, W] or [H, W, 3] and the left one's disparity [H, W], NaN = not counted."""

    left: Array
    right: Array
    disparity_px: FloatArray


def held_out_sets(root: Path) -> dict[str, list[MeasuredPair]]:
    """Pairs of KITTI 2015 and Middlebury and scans of the drive that are held out, by name."""
    benchmarks = {'kitti': kitti_pairs(root, 'held_out'),
                  'middlebury': middlebury_pairs(root, 'held_out')}  # fmt: skip
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


def kitti_pairs(root: Path, split: str) -> list[StereoPair]:
    """Pairs of KITTI 2015: every third is held out, the others are fit."""
    samples = KittiStereo(root / 'kitti_stereo_2015')
    return [samples[i] for i in range(len(samples)) if (i % 3 == 0) == (split == 'held_out')]


def middlebury_pairs(root: Path, split: str) -> list[StereoPair]:
    """Pairs of Middlebury: every second is held out, the others are fit."""
    samples = MiddleburyStereo(root / 'middlebury_stereo')
    return [samples[i] for i in range(len(samples)) if (i % 2 == 1) == (split == 'held_out')]


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
        result: dict[str, float] = {}
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
        error = np.abs(disparity[known] - truth)
        found = {
            'd1': float(np.mean((error > 3) & (error > 0.05 * truth))),
            'bad2': float(np.mean(error > 2)), 'epe_px': float(error.mean()),
        }
        if sigma is not None:
            found['coverage1'] = float(np.mean(error < sigma[known]))
            found['coverage2'] = float(np.mean(error < 2 * sigma[known]))
        return found


def signed_errors(
    network: nn.Module, pairs: Sequence[MeasuredPair], pixels: int = NETWORK_PIXELS
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors and sigmas before calibration of each pair in turn, float32 [N], network's pixels."""
    for pair in pairs:
        disparity, sigma = estimate(network, pair, pixels)
        if sigma is None:
            raise PerceptionError('the network returns no sigma')
        known = np.isfinite(pair.disparity_px)
        inside = sides(pair.left.shape, pixels)[1] / pair.left.shape[1]
        yield (disparity[known] - pair.disparity_px[known]) * inside, sigma[known] * inside


def sides(shape: tuple[int, ...], pixels: int, enlarged: float = 1.0) -> tuple[int, int]:
    """Height and width that a graph brings an image of a shape to (export.network_input)."""
    scale = min(enlarged, math.sqrt(pixels / (shape[0] * shape[1])))
    height, width = (max(1, math.floor(side * scale / 32 + 1e-3)) * 32 for side in shape[:2])
    return height, width


def planes(image: Array, size: tuple[int, int], device: torch.device) -> Tensor:
    """Bring uint8 [H, W] or [H, W, 3] to float B 3 h w, 0..1, as a graph does."""
    full = torch.from_numpy(in_colour(image)).permute(2, 0, 1)[None].float() / 255
    twice = F.interpolate(full, size=(2 * size[0], 2 * size[1]), mode='bilinear')
    return F.avg_pool2d(twice, 2).to(device, memory_format=torch.channels_last)


def estimate(
    network: nn.Module, pair: MeasuredPair, pixels: int = NETWORK_PIXELS
) -> tuple[FloatArray, FloatArray | None]:
    """Run a network as the released graph does.

    Returns
    -------
    disparity and sigma before calibration (None if it has none), float32 [H, W] px.
    """
    device = next(network.parameters()).device
    shape = pair.left.shape[:2]
    size = sides(shape, pixels)
    out = network(planes(pair.left, size, device), planes(pair.right, size, device))
    maps = [out['disparity_px']]
    if 'log_scale' in out:
        maps.append(out['log_scale'].exp() * math.sqrt(2))
    full = F.interpolate(torch.cat(maps, 1).float().cpu(), size=shape, mode='bilinear')[0]
    disparity, *sigma = (full * (shape[1] / size[1])).numpy()
    return disparity, sigma[0] if sigma else None
