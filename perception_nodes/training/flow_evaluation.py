# SPDX-License-Identifier: Apache-2.0
"""Flow on recorded pairs that are held out, at the size that the released graph works at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.samples import FlowPair
from perception_nodes.geometry.se3 import inverse
from perception_nodes.geometry.warp import flow_from_depth_and_motion
from perception_nodes.networks.pyramid_flow import ENLARGED, NETWORK_PIXELS
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.types import Array, FloatArray

NOISE = (1.0, 3.0)
"""Deviations of the noise of a camera at rest, grey levels of 255."""


@dataclass(frozen=True)
class MeasuredMotion:
    """Images uint8 [H, W] or [H, W, 3] and the flow [H, W, 2] on the newest, NaN = not counted."""

    older: Array
    newest: Array
    flow_px: FloatArray


def held_out_sets(root: Path) -> dict[str, list[MeasuredMotion]]:
    """Middlebury, FlyingChairs, the drive's held-out scans and cameras at rest, by name."""
    middlebury = [turned(pair) for pair in MiddleburyFlow(root / 'middlebury_flow')]
    return {
        'middlebury': middlebury,
        'chairs': [turned(pair) for pair in KittiFlow(root / 'flying_chairs')],
        'drive': drive_motions(root),
        'rest': [
            at_rest(motion.newest, deviation)
            for motion in middlebury for deviation in NOISE
        ],
    }


def turned(pair: FlowPair) -> MeasuredMotion:
    """Exchange the images of a data set's pair: its flow lies on the first of them."""
    return MeasuredMotion(pair.second.data, pair.first.data, -pair.forward_flow_px)


def drive_motions(root: Path, split: str = 'held_out') -> list[MeasuredMotion]:
    """Give steps of the drive whose flow follows from a scan and the poses."""
    drive = KittiDrive(root / 'kitti_drive_0926', split)
    found = []
    for number in drive.with_depth():
        entries = drive.entries[number - 1], drive.entries[number]
        if number == 0 or int(entries[1].name) - int(entries[0].name) != 1:
            continue
        older, newest = drive[number - 1], drive[number]
        if newest.depth_m is None:
            continue
        flow = flow_from_depth_and_motion(
            newest.depth_m, newest.rig.left.rectified_k,
            inverse(older.world_from_left) @ newest.world_from_left,
        )
        found.append(MeasuredMotion(older.left.data, newest.left.data, flow))
    return found


def at_rest(image: Array, deviation: float) -> MeasuredMotion:
    """One image twice, each time with sensor noise of its own, grey levels; no motion."""
    rng = np.random.default_rng(round(1000 * deviation))
    older, newest = (
        np.rint(image + rng.normal(0, deviation, image.shape)).clip(0, 255).astype(np.uint8)
        for _ in range(2)
    )
    return MeasuredMotion(older, newest, np.zeros((*image.shape[:2], 2), np.float32))


class RecordedFlowEvaluation:
    """Error and coverage of sigma on sets of motions; names begin with the set's.

    epe_px: mean length of the error vector; median_px: its median; fl: share of pixels that are
    off by over 3 px and 5 %; coverage1, coverage2: shares of the components inside one and two
    sigmas before calibration. Means over the pairs.
    """

    def __init__(
        self, sets: Mapping[str, Sequence[MeasuredMotion]], every: int = 1,
        pixels: int = NETWORK_PIXELS,
    ) -> None:
        self.sets, self.every, self.pixels = sets, every, pixels

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        result = {}
        for name, motions in self.sets.items():
            # The four of Middlebury are what matters most.
            every = 1 if name == 'middlebury' else self.every
            found = [self._of_pair(network, motion) for motion in motions[::every]]
            result |= {
                f'{name}_{key}': float(np.mean([scores[key] for scores in found]))
                for key in found[0]
            }
        return result

    def _of_pair(self, network: nn.Module, motion: MeasuredMotion) -> dict[str, float]:
        flow, sigma = estimate(network, motion, self.pixels)
        known = np.isfinite(motion.flow_px).all(-1)
        truth = motion.flow_px[known]
        error, sigma = flow[known] - truth, sigma[known][:, None]
        length = np.linalg.norm(error, axis=1)
        relative = 0.05 * np.linalg.norm(truth, axis=1)
        return {
            'epe_px': float(length.mean()), 'median_px': float(np.median(length)),
            'fl': float(np.mean((length > 3) & (length > relative))),
            'coverage1': float(np.mean(np.abs(error) < sigma)),
            'coverage2': float(np.mean(np.abs(error) < 2 * sigma)),
        }


def signed_errors(
    network: nn.Module, motions: Sequence[MeasuredMotion], pixels: int = NETWORK_PIXELS
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors of both components and sigmas before calibration, float32 [N] px, of each pair."""
    for motion in motions:
        flow, sigma = estimate(network, motion, pixels)
        known = np.isfinite(motion.flow_px).all(-1)
        error = flow[known] - motion.flow_px[known]
        yield error.ravel(), np.repeat(sigma[known], 2)


def estimate(
    network: nn.Module, motion: MeasuredMotion, pixels: int = NETWORK_PIXELS,
    enlarged: float = ENLARGED,
) -> tuple[FloatArray, FloatArray]:
    """Run a network as the released graph does; flow float32 [H, W, 2], sigma [H, W] px."""
    device = next(network.parameters()).device
    height, width = motion.newest.shape[:2]
    scale = min(enlarged, math.sqrt(pixels / (height * width)))
    size = [max(1, math.floor(side * scale / 32 + 1e-3)) * 32 for side in (height, width)]
    older, newest = (
        F.avg_pool2d(
            F.interpolate(
                torch.from_numpy(in_colour(image)).permute(2, 0, 1)[None].float() / 255,
                size=[2 * side for side in size], mode='bilinear',
            ), 2,
        ).to(device, memory_format=torch.channels_last)
        for image in (motion.older, motion.newest)
    )
    out = network(older, newest)
    sigma = out['log_scale'].exp() * math.sqrt(2)
    maps = torch.cat([out['flow_px'], sigma], 1).float().cpu()
    full = F.interpolate(maps, size=(height, width), mode='bilinear')[0].numpy()
    stretch = np.array([width / size[1], height / size[0]], np.float32)
    flow = full[:2].transpose(1, 2, 0) * stretch
    return flow, full[2] * np.float32(math.sqrt(stretch[0] * stretch[1]))
