# SPDX-License-Identifier: Apache-2.0
"""The graph of the released features model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.export.graphs.images import unit_image
from perception_nodes.export.keypoint_error import measure_keypoints
from perception_nodes.export.network_input import MEAN, STD, camera_size, network_size
from perception_nodes.export.release import Calibration, Release
from perception_nodes.inference.model_card import ANY, TensorSpec
from perception_nodes.networks.keypoint_net import CELL
from perception_nodes.types import Array

NETWORK_PIXELS = 640 * 384
KEYPOINTS = 1024  # TensorRT sorts fewer than 3840
DESCRIPTOR = 64
REACH = 2  # pixels of the network around a peak that its sub-pixel place is the mean of


class FeaturesGraph(nn.Module):
    """Image in; always 1024 keypoints out, best first, those beyond the last with score 0.

    Peaks are pixels that no neighbour within 4 pixels beats; a keypoint is the mean place of the
    probability around its peak.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        offset = torch.arange(-REACH, REACH + 1)
        y, x = torch.meshgrid(offset, offset, indexing='ij')
        self.register_buffer('around', torch.stack([x.flatten(), y.flatten()]))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Arrays as in the card."""
        size, full = network_size(image, NETWORK_PIXELS), camera_size(image)
        grey = image.float().mean(3, keepdim=True)
        out = self.network((unit_image(grey, size) - MEAN) / STD)
        points, scores = self.keypoints(score_map(out['logits']))
        network = torch.stack([size[1], size[0]]).float()
        grid = (points + 0.5) * (2 / network) - 1
        described = F.grid_sample(out['descriptors'], grid[None, None], align_corners=False)
        described = F.normalize(described[0, :, 0].transpose(0, 1), dim=1)
        there = (scores > 0).float()[:, None]
        scale = torch.stack([full[1], full[0]]).float() / network
        points = ((points + 0.5) * scale - 0.5) * there
        return points[None], scores[None], (described * there)[None]

    def keypoints(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """Places [KEYPOINTS, 2] in network pixels and scores [KEYPOINTS] of a map 1 1 H W."""
        highest = F.max_pool2d(F.max_pool2d(score, (9, 1), 1, (4, 0)), (1, 9), 1, (0, 4))
        peaks = (score * (highest == score).float()).flatten()
        scores, index = F.pad(peaks, (0, KEYPOINTS)).topk(KEYPOINTS)
        width = score.shape[3]
        # Where the score is 0 any place will do that has neighbours.
        index = torch.where(scores > 0, index, REACH * width + REACH)
        row = torch.floor((index.float() + 0.5) / width).to(torch.int64)
        column = index - row * width
        near = score.flatten()[index[:, None] + self.around[0] + self.around[1] * width]
        share = near / near.sum(1, keepdim=True).clamp(min=1e-9)
        shift = share @ self.around.float().transpose(0, 1)
        return torch.stack([column, row], 1).float() + shift, scores


def score_map(logits: Tensor) -> Tensor:
    """Probability of a keypoint at each pixel, 1 1 H W, 0 within 4 pixels of the border."""
    score = F.pixel_shuffle(torch.softmax(logits, 1)[:, :-1], CELL)
    return F.pad(score[:, :, 4:-4, 4:-4], (4, 4, 4, 4))


def side_by_side(mine: Sequence[Array], theirs: Sequence[Array]) -> tuple[list[Array], ...]:
    """Pair keypoints of two runs by their place: scores that nearly tie change the order.

    Keypoints that only one run has are left out if they are fewer than 1 in 100 (the last of the
    1024 tie as well); else the rows stay as they are, and the comparison fails.
    """
    points, others = mine[0][0], theirs[0][0]
    there = np.flatnonzero(mine[1][0] > 0)
    apart = np.linalg.norm(points[there, None] - others[None], axis=2)
    nearest = apart.argmin(axis=1)
    close = apart.min(axis=1, initial=np.inf) < 0.1
    if close.sum() < 0.99 * len(there) or abs(len(there) - (theirs[1] > 0).sum()) > 10:
        return list(mine), list(theirs)
    rows, partners = there[close], nearest[close]
    return [array[0, rows] for array in mine], [array[0, partners] for array in theirs]


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return FeaturesGraph(network)


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Measure how exact keypoints are: visual odometry weighs them by it."""
    return measure_keypoints(FeaturesGraph(network).eval(), data_root)


FEATURES = Release(
    name='features', task='features', graph=build_graph, calibrate=calibrate,
    summary='1024 keypoints with sub-pixel positions and 64 numbers each to match them by',
    network_pixels=NETWORK_PIXELS, side_by_side=side_by_side,
    licence='CC-BY-NC-4.0', non_commercial=True,
    inputs=(TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image; colour unused'),),
    outputs=(
        TensorSpec('keypoints_px', 'float32', (1, KEYPOINTS, 2), 'px',
                   '(x, y), best first; 0 where the score is 0: no keypoint'),
        TensorSpec('scores', 'float32', (1, KEYPOINTS), '1', 'probability of a keypoint, 0..1'),
        TensorSpec('descriptors', 'float32', (1, KEYPOINTS, DESCRIPTOR), '1', 'unit length'),
    ),
)
