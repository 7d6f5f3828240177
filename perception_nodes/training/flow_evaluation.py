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
from perception_nodes.training.stereo_evaluation import planes, sides
from perception_nodes.types import Array, FloatArray, PerceptionError

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
    """Return steps of the drive whose flow follows from a scan and the poses."""
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
        result: dict[str, float] = {}
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
        error = flow[known] - truth
        length = np.linalg.norm(error, axis=1)
        relative = 0.05 * np.linalg.norm(truth, axis=1)
        found = {
            'epe_px': float(length.mean()), 'median_px': float(np.median(length)),
            'fl': float(np.mean((length > 3) & (length > relative))),
        }
        if sigma is not None:
            inside = np.abs(error) / sigma[known][:, None]
            found['coverage1'] = float(np.mean(inside < 1))
            found['coverage2'] = float(np.mean(inside < 2))
        return found


def signed_errors(
    network: nn.Module, motions: Sequence[MeasuredMotion], pixels: int = NETWORK_PIXELS
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors of both components and sigmas before calibration, float32 [N], network's pixels."""
    for motion in motions:
        flow, sigma = estimate(network, motion, pixels)
        if sigma is None:
            raise PerceptionError('the network returns no sigma')
        known = np.isfinite(motion.flow_px).all(-1)
        shape = motion.newest.shape[:2]
        stretch = math.prod(_stretch(shape, sides(shape, pixels, ENLARGED))) ** 0.5
        error = (flow[known] - motion.flow_px[known]) / stretch
        yield error.ravel(), np.repeat(sigma[known] / stretch, 2)


def estimate(
    network: nn.Module, motion: MeasuredMotion, pixels: int = NETWORK_PIXELS,
    enlarged: float = ENLARGED,
) -> tuple[FloatArray, FloatArray | None]:
    """Run a network as the released graph does.

    Returns
    -------
    flow float32 [H, W, 2] and sigma before calibration [H, W] (None if it has none), px.
    """
    device = next(network.parameters()).device
    shape = motion.newest.shape[:2]
    size = sides(shape, pixels, enlarged)
    out = network(planes(motion.older, size, device), planes(motion.newest, size, device))
    maps = [out['flow_px']]
    if 'log_scale' in out:
        maps.append(out['log_scale'].exp() * math.sqrt(2))
    full = F.interpolate(torch.cat(maps, 1).float().cpu(), size=shape, mode='bilinear')[0].numpy()
    flow = full[:2].transpose(1, 2, 0) * np.array(_stretch(shape, size), np.float32)
    if len(maps) == 1:
        return flow, None
    return flow, full[2] * np.float32(math.prod(_stretch(shape, size)) ** 0.5)


def _stretch(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[float, float]:
    """Pixels of the image to one of the network, along x and y."""
    return shape[1] / size[1], shape[0] / size[0]
