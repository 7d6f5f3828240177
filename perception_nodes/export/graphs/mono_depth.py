# SPDX-License-Identifier: Apache-2.0
"""The graph of the released mono depth model."""

import math
from collections.abc import Mapping
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
from perception_nodes.training.depth_evaluation import (
    NETWORK_PIXELS,
    held_out_sets,
    relative_errors,
)

FITTED_ON = (
    'the part of the KITTI drive and the corner of the office that are held out of training, as '
    'many pixels of each'
)


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


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the scale of sigma; street and rooms count alike."""
    sets = held_out_sets(data_root)
    errors = relative_errors(network, [sets['drive'], sets['office']])
    return {**fit_sigma_scale(errors), 'fitted_on': FITTED_ON}


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return MonoGraph(network, calibration['sigma_scale'])


MONO_DEPTH = Release(
    name='mono_depth', task='mono_depth', graph=build_graph, calibrate=calibrate,
    summary='metric depth of one image of a street or a room at its focal length, with its '
    'one-sigma',
    network_pixels=NETWORK_PIXELS, licence='CC-BY-NC-SA-3.0', non_commercial=True,
    evaluated_on=(
        ('kitti_depth', 'kitti_depth', None), ('kitti_drive', 'kitti_drive_0926', 'held_out'),
        ('hololens_office', 'hololens_office', 'held_out'),
        ('seven_scenes', 'seven_scenes_redkitchen', None),
    ),
    inputs=(
        TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, rectified'),
        TensorSpec('focal_px', 'float32', (1,), 'px', 'focal length at the size of the image'),
    ),
    outputs=(
        TensorSpec('depth_m', 'float32', (1, ANY, ANY), 'm', 'along the optical axis, > 0'),
        TensorSpec('sigma_m', 'float32', (1, ANY, ANY), 'm', 'one sigma of the depth'),
    ),
)
