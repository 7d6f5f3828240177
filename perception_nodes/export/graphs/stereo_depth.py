# SPDX-License-Identifier: Apache-2.0
"""The graph of the released stereo model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perception_nodes.export.graphs.images import grey_image
from perception_nodes.export.network_input import camera_size, network_size, resize
from perception_nodes.export.release import Calibration, Release
from perception_nodes.export.sigma_scale import fit_sigma_curve
from perception_nodes.inference.model_card import ANY, TensorSpec
from perception_nodes.networks.correlation_stereo import NETWORK_PIXELS
from perception_nodes.training.stereo_evaluation import held_out_sets, signed_errors

FITTED_ON = (
    'pairs that training does not use: LiDAR scans of a part of the KITTI drive, 5 pairs of KITTI '
    'stereo 2015, 2 of Middlebury, as many pixels of each pair'
)


class StereoGraph(nn.Module):
    """Rectified pair in; disparity and its sigma at the camera's size out, pixels of the camera.

    Parameters
    ----------
    sigma_scale, sigma_power : what the learned sigma is mapped with, fitted on held-out pairs.
    """

    def __init__(self, network: nn.Module, sigma_scale: float, sigma_power: float) -> None:
        super().__init__()
        self.network, self.power = network, sigma_power
        self.factor = sigma_scale * math.sqrt(2) ** sigma_power
        self.register_buffer('network_pixels', torch.tensor(float(NETWORK_PIXELS)))

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Arrays as in the card."""
        size, full = network_size(left, self.network_pixels), camera_size(left)
        out = self.network(grey_image(left, size), grey_image(right, size))
        sigma = (out['log_scale'] * self.power).exp() * self.factor
        maps = resize(torch.cat([out['disparity_px'], sigma], 1), full)
        maps = maps * (full[1].float() / size[1].float())
        return maps[:, 0], maps[:, 1]


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit sigma on pairs that training does not use; return the range of disparities."""
    pairs = [pair for held_out in held_out_sets(data_root).values() for pair in held_out]
    levels: int = network.levels  # type: ignore[assignment]
    return {
        **fit_sigma_curve(signed_errors(network, pairs)),
        # At the size that the network works at; the pipeline scales it to the camera's.
        'max_disparity_px': 4.0 * (levels - 1), 'fitted_on': FITTED_ON,
    }


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return StereoGraph(network, calibration['sigma_scale'], calibration['sigma_power'])


NOTES = {
    'began_with': '5208 steps (42 minutes) of stereo_depth_unmeasured, which uses no ground truth '
    'and began with the release before',
    'without_ground_truth': {
        'kitti_stereo': {'d1': 0.0643, 'epe_px': 1.264, 'coverage1': 0.7177, 'coverage2': 0.9278},
        'kitti_drive held_out': {'d1': 0.1149, 'epe_px': 1.407},
        'middlebury_stereo': {'bad2': 0.1332, 'epe_px': 1.272},
    },
    'held_out': 'of KITTI stereo 2015 every third pair, of Middlebury every second, of the drive '
    'the last quarter: results on all visible pairs of the first two are not independent',
}

STEREO_DEPTH = Release(
    name='stereo_depth', task='stereo_depth', graph=build_graph, calibrate=calibrate,
    summary='disparity of a rectified pair with its one-sigma', notes=NOTES,
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-SA-3.0', non_commercial=True,
    evaluated_on=(
        ('kitti_drive', 'kitti_drive_0926', 'held_out'),
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
