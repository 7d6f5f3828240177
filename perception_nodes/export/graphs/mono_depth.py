# SPDX-License-Identifier: Apache-2.0
"""The graph of the released mono depth model."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perception_nodes.export.graphs.images import unit_image
from perception_nodes.export.network_input import camera_size, network_size, resize
from perception_nodes.export.release import Calibration, Release
from perception_nodes.export.sigma_scale import fit_sigma_scale
from perception_nodes.inference.model_card import ANY, TensorSpec
from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    depth_example,
    read_folded,
)
from perception_nodes.types import FloatArray

NETWORK_PIXELS = 640 * 200
HELD_OUT = 48
FARTHEST_M = 80.0


class MonoGraph(nn.Module):
    """Image and focal length in; depth and its sigma at the camera's size out, metres.

    The network gives depth for one focal length; a longer lens shows the same image from
    farther away.

    Parameters
    ----------
    sigma_scale : by which the learned sigma is multiplied, fitted on held-out images.
    """

    def __init__(self, network: nn.Module, sigma_scale: float) -> None:
        super().__init__()
        self.network, self.sigma_scale = network, sigma_scale

    def forward(self, image: Tensor, focal_px: Tensor) -> tuple[Tensor, Tensor]:
        """Arrays as in the card."""
        size, full = network_size(image, NETWORK_PIXELS), camera_size(image)
        out = self.network(unit_image(image, size))
        maps = resize(torch.cat([out['log_depth'], out['log_scale']], 1), full)
        focal_inside_px = focal_px * (size[1].float() / full[1].float())
        depth = maps[:, 0].exp() * (focal_inside_px / FOCAL_PX)[:, None, None]
        relative = maps[:, 1].exp() * (math.sqrt(2) * self.sigma_scale)
        return depth, depth * relative


def held_out_errors(
    network: nn.Module, data_root: Path
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors and sigmas, part of the depth, on CamVid val folded, up to 80 m."""
    images = Images(read_folded(data_root, 'val'), (160, 384), (0.9, 2.0))
    batches = DenseBatches(partial(depth_example, images=images), 2, 7)
    for step in range(HELD_OUT):
        batch = batches.batch(step)
        out = network(batch['image'])
        counted = batch['log_depth'] < math.log(FARTHEST_M)
        error = (out['log_depth'] - batch['log_depth'])[counted]
        yield error.numpy(), (out['log_scale'].exp() * math.sqrt(2))[counted].numpy()


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the scale of sigma."""
    fitted = fit_sigma_scale(held_out_errors(network, data_root))
    return {**fitted, 'fitted_on': 'depth folded from CamVid val, camera 1.5 m above the ground'}


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return MonoGraph(network, calibration['sigma_scale'])


MONO_DEPTH = Release(
    name='mono_depth', task='mono_depth', graph=build_graph, calibrate=calibrate,
    summary='depth of one road image with its one-sigma; the scale is that of a camera about '
    '1.5 m above the ground',
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-4.0', non_commercial=True,
    evaluated_on=(('kitti_depth', 'kitti_depth', None),),
    inputs=(
        TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
        TensorSpec('focal_px', 'float32', (1,), 'px', 'focal length at the size of the image'),
    ),
    outputs=(
        TensorSpec('depth_m', 'float32', (1, ANY, ANY), 'm', 'along the optical axis, > 0'),
        TensorSpec('sigma_m', 'float32', (1, ANY, ANY), 'm', 'one sigma of the depth'),
    ),
)
