# SPDX-License-Identifier: Apache-2.0
"""The graph of the released stereo model."""

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
    read_folded,
    stereo_example,
)
from perception_nodes.types import FloatArray

NETWORK_PIXELS = 640 * 200
HELD_OUT = 32


class StereoGraph(nn.Module):
    """Rectified pair in; disparity and its sigma at the camera's size out, pixels of the camera.

    Parameters
    ----------
    sigma_scale : by which the learned sigma is multiplied, fitted on held-out pairs.
    """

    def __init__(self, network: nn.Module, sigma_scale: float) -> None:
        super().__init__()
        self.network, self.sigma_scale = network, sigma_scale

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Arrays as in the card."""
        size, full = network_size(left, NETWORK_PIXELS), camera_size(left)
        out = self.network(unit_image(left, size), unit_image(right, size))
        sigma = out['log_scale'].exp() * (math.sqrt(2) * self.sigma_scale)
        maps = resize(torch.cat([out['disparity_px'], sigma], 1), full)
        maps = maps * (full[1].float() / size[1].float())
        return maps[:, 0], maps[:, 1]


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the scale of sigma and its tail on pairs whose truth training does not use."""
    fitted = fit_sigma_tail(signed_errors(network, drive_set(data_root)))
    # At the size that the network works at; the pipeline scales it to the camera's.
    levels: int = network.levels  # type: ignore[assignment]
    return {**fitted, 'max_disparity_px': 4.0 * (levels - 1), 'fitted_on': FITTED_ON}


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return StereoGraph(network, calibration['sigma_scale'])


STEREO_DEPTH = Release(
    name='stereo_depth', task='stereo_depth', graph=build_graph, calibrate=calibrate,
    summary='disparity of a rectified pair with its one-sigma',
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-4.0', non_commercial=True,
    evaluated_on=(
        ('kitti_stereo', 'kitti_stereo_2015', None),
        ('middlebury_stereo', 'middlebury_stereo', None),
    ),
    inputs=(
        TensorSpec('left', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
        TensorSpec('right', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
    ),
    outputs=(
        TensorSpec('disparity_px', 'float32', (1, ANY, ANY), 'px', 'on the left grid, >= 0'),
        TensorSpec('sigma_px', 'float32', (1, ANY, ANY), 'px', 'one sigma of the disparity'),
    ),
)
