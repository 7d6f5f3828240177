# SPDX-License-Identifier: Apache-2.0
"""The graph of the released flow model."""

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
from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    motion_example,
    read_folded,
)
from perception_nodes.types import FloatArray

NETWORK_PIXELS = 640 * 200
HELD_OUT = 32


class FlowGraph(nn.Module):
    """Two images in; flow and its sigma at the camera's size out, pixels of the camera.

    Parameters
    ----------
    sigma_scale : by which the learned sigma is multiplied, fitted on held-out pairs.
    """

    def __init__(self, network: nn.Module, sigma_scale: float) -> None:
        super().__init__()
        self.network, self.sigma_scale = network, sigma_scale

    def forward(self, image0: Tensor, image1: Tensor) -> tuple[Tensor, Tensor]:
        """Arrays as in the card."""
        size, full = network_size(image1, NETWORK_PIXELS), camera_size(image1)
        out = self.network(unit_image(image0, size), unit_image(image1, size))
        sigma = out['log_scale'].exp() * (math.sqrt(2) * self.sigma_scale)
        maps = resize(torch.cat([out['flow_px'], sigma], 1), full)
        stretch = full.float() / size.float()
        flow = torch.stack([maps[:, 0] * stretch[1], maps[:, 1] * stretch[0]], -1)
        return flow, maps[:, 2] * torch.sqrt(stretch[0] * stretch[1])


def held_out_errors(
    network: nn.Module, data_root: Path
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Errors of both components and sigmas, px, on motion folded from CamVid val, where seen."""
    images = Images(read_folded(data_root, 'val'), (192, 384))
    batches = DenseBatches(partial(motion_example, images=images), 2, 7)
    for step in range(HELD_OUT):
        batch = batches.batch(step)
        out = network(batch['image0'], batch['image1'])
        seen = (batch['weight'] == 1).expand_as(batch['flow_px'])
        sigma = (out['log_scale'].exp() * math.sqrt(2)).expand_as(batch['flow_px'])
        yield (out['flow_px'] - batch['flow_px'])[seen].numpy(), sigma[seen].numpy()


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the scale of sigma."""
    fitted = fit_sigma_scale(held_out_errors(network, data_root))
    return {**fitted, 'fitted_on': 'motion folded from CamVid val'}


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return FlowGraph(network, calibration['sigma_scale'])


OPTICAL_FLOW = Release(
    name='optical_flow', task='optical_flow', graph=build_graph, calibrate=calibrate,
    summary='motion in the image since the one before, with its one-sigma',
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-4.0', non_commercial=True,
    evaluated_on=(('middlebury_flow', 'middlebury_flow', None),),
    inputs=(
        TensorSpec('image0', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, the older'),
        TensorSpec('image1', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, the newest'),
    ),
    outputs=(
        TensorSpec('flow_px', 'float32', (1, ANY, ANY, 2), 'px',
                   '(x, y) on the grid of image1: the point at p was at p - flow_px[p] in image0'),
        TensorSpec('sigma_px', 'float32', (1, ANY, ANY), 'px', 'one sigma of each component'),
    ),
)
