# SPDX-License-Identifier: Apache-2.0
"""The graph of the released flow model."""

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
from perception_nodes.networks.pyramid_flow import ENLARGED, NETWORK_PIXELS
from perception_nodes.training.flow_evaluation import held_out_sets, signed_errors

# The ground truth is no better than its poses: half a pixel, more than most of the errors.
FITTED_SETS = ('middlebury', 'chairs')
FITTED_ON = (
    'pairs that training does not use and whose truth is exact: four of Middlebury, six of '
    'FlyingChairs, as many pixels of each pair'
)


class FlowGraph(nn.Module):
    """Two images in; flow and its sigma at the camera's size out, pixels of the camera.

    Parameters
    ----------
    sigma_scale, sigma_power : what the learned sigma is mapped with, fitted on held-out pairs.
    """

    def __init__(self, network: nn.Module, sigma_scale: float, sigma_power: float) -> None:
        super().__init__()
        self.network, self.power = network, sigma_power
        self.factor = sigma_scale * math.sqrt(2) ** sigma_power
        self.register_buffer('network_pixels', torch.tensor(float(NETWORK_PIXELS)))

    def forward(self, image0: Tensor, image1: Tensor) -> tuple[Tensor, Tensor]:
        """Arrays as in the card."""
        size = network_size(image1, self.network_pixels, enlarged=ENLARGED)
        full = camera_size(image1)
        out = self.network(grey_image(image0, size), grey_image(image1, size))
        sigma = (out['log_scale'] * self.power).exp() * self.factor
        maps = resize(torch.cat([out['flow_px'], sigma], 1), full)
        stretch = full.float() / size.float()
        flow = torch.stack([maps[:, 0] * stretch[1], maps[:, 1] * stretch[0]], -1)
        return flow, maps[:, 2] * torch.sqrt(stretch[0] * stretch[1])


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit sigma on pairs that training does not use."""
    sets = held_out_sets(data_root)
    motions = [motion for name in FITTED_SETS for motion in sets[name]]
    return {**fit_sigma_curve(signed_errors(network, motions)), 'fitted_on': FITTED_ON}


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return FlowGraph(network, calibration['sigma_scale'], calibration['sigma_power'])


NOTES = {'began_with': 'the release before; its last level is new'}

OPTICAL_FLOW = Release(
    name='optical_flow', task='optical_flow', graph=build_graph, calibrate=calibrate,
    summary='motion in the image since the one before, with its one-sigma', notes=NOTES,
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-4.0', non_commercial=True,
    evaluated_on=(
        ('middlebury_flow', 'middlebury_flow', None), ('kitti_flow', 'flying_chairs', None),
        ('kitti_drive', 'kitti_drive_0926', 'held_out'),
    ),
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
