# SPDX-License-Identifier: Apache-2.0
"""Mono depth on recorded images that are held out, as ``perception evaluate`` measures it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.types import Array, FloatArray

NETWORK_PIXELS = 640 * 200
FARTHEST_M, FARTHEST_INDOORS_M = 80.0, 10.0
NAMES = ('abs_rel', 'abs_rel_median_scaled', 'delta1', 'coverage1', 'coverage2')


@dataclass(frozen=True)
class MeasuredImage:
    """An image uint8 [H, W] or [H, W, 3], focal length, depth float32 [H, W] with NaN = none."""

    image: Array
    focal_px: float
    depth_m: FloatArray


@dataclass(frozen=True)
class MeasuredSet:
    """Images that are scored alike: as far as max_depth_m, in Garg's crop or all over."""

    images: Sequence[MeasuredImage]
    max_depth_m: float
    crop: bool


def held_out_sets(root: Path) -> dict[str, MeasuredSet]:
    """Drive and office as far as they are held out, and KITTI depth, by name."""
    drive = KittiDrive(root / 'kitti_drive_0926', 'held_out')
    frames = [drive[number] for number in drive.with_depth()]
    street = [
        MeasuredImage(frame.left.data, frame.rig.focal_px, frame.depth_m)
        for frame in frames if frame.depth_m is not None
    ]
    kitti, office = (
        [
            MeasuredImage(view.image.data, float(view.camera.rectified_k[0, 0]), view.depth_m)
            for view in samples
        ]
        for samples in (
            KittiDepth(root / 'kitti_depth'), HololensOffice(root / 'hololens_office', 'held_out')
        )
    )
    return {
        'drive': MeasuredSet(street, FARTHEST_M, True),
        'kitti': MeasuredSet(kitti, FARTHEST_M, True),
        'office': MeasuredSet(office, FARTHEST_INDOORS_M, False),
    }


class RecordedDepthEvaluation:
    """Errors and coverage of sigma on sets of measured images; names begin with the set's.

    Parameters
    ----------
    every : looks at every n-th image only.
    """

    def __init__(
        self, sets: Mapping[str, MeasuredSet], every: int = 1, pixels: int = NETWORK_PIXELS
    ) -> None:
        self.sets, self.every, self.pixels = sets, every, pixels

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        result = {}
        for name, measured in self.sets.items():
            metric = DepthMetric(max_depth_m=measured.max_depth_m, crop=measured.crop)
            for view in measured.images[:: self.every]:
                metric.update(*self._estimate(network, view))
            found = metric.compute()
            result |= {f'{name}_{key}': found[key] for key in NAMES}
        return result

    def _estimate(
        self, network: nn.Module, view: MeasuredImage
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Depth, truth and sigma, all [H, W] metres."""
        log_depth, log_scale = estimate(network, view.image, view.focal_px, self.pixels)
        depth = np.exp(log_depth)
        return depth, view.depth_m, depth * np.exp(log_scale) * np.float32(math.sqrt(2))


def relative_errors(
    network: nn.Module, sets: Iterable[MeasuredSet], pixels_a_set: int = 100_000
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors and sigmas as parts of the estimated depth, float32 [N], of each set as many."""
    for measured in sets:
        errors, sigmas = [], []
        for view in measured.images:
            log_depth, log_scale = estimate(network, view.image, view.focal_px)
            with np.errstate(invalid='ignore'):
                known = (view.depth_m > 0) & (view.depth_m < measured.max_depth_m)
            errors.append(1 - view.depth_m[known] / np.exp(log_depth[known]))
            sigmas.append(np.exp(log_scale[known]) * np.float32(math.sqrt(2)))
        error, sigma = np.concatenate(errors), np.concatenate(sigmas)
        drawn = np.random.default_rng(0).choice(len(error), pixels_a_set)
        yield error[drawn], sigma[drawn]


def estimate(
    network: nn.Module, image: Array, focal_px: float, pixels: int = NETWORK_PIXELS
) -> tuple[FloatArray, FloatArray]:
    """Run a network as the released graph does.

    Parameters
    ----------
    image : uint8 [H, W] or [H, W, 3]. pixels : largest area the network works at.

    Returns
    -------
    Log of the depth in metres and log of its Laplace scale, float32 [H, W].
    """
    device = next(network.parameters()).device
    planes = torch.from_numpy(in_colour(image)).permute(2, 0, 1)[None].float() / 255
    shrunk = min(1.0, math.sqrt(pixels / (image.shape[0] * image.shape[1])))
    size = [max(1, math.floor(side * shrunk / 32 + 1e-3)) * 32 for side in image.shape[:2]]
    small = F.interpolate(planes, size=size, mode='bilinear')
    out = network(small.to(device, memory_format=torch.channels_last))
    maps: Tensor = torch.cat([out['log_depth'], out['log_scale']], 1).float().cpu()
    full = F.interpolate(maps, size=image.shape[:2], mode='bilinear')[0].numpy()
    focal_inside_px = focal_px * size[1] / image.shape[1]
    return full[0] + np.float32(math.log(focal_inside_px / FOCAL_PX)), full[1]
