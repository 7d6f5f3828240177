# SPDX-License-Identifier: Apache-2.0
"""GC-Net, FlowNetS, FlowNetC and Monodepth as published, trained on our data."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.losses.optical_flow import multi_scale_end_point_error
from perception_nodes.losses.photometric import edge_aware_smoothness, photometric_error
from perception_nodes.losses.regression import weighted_mean
from perception_nodes.losses.stereo_depth import left_right_consistency, sample_row
from perception_nodes.training.recipe import Batch, Loss, Recipe, Task
from perception_nodes.training.recipes.optical_flow import DATA as FLOW_DATA
from perception_nodes.training.recipes.optical_flow import LICENCE as FLOW_LICENCE
from perception_nodes.training.recipes.optical_flow import build_flow
from perception_nodes.training.recipes.stereo_depth import DATA as STEREO_DATA
from perception_nodes.training.recipes.stereo_depth import LICENCE as STEREO_LICENCE
from perception_nodes.training.recipes.stereo_depth import build_stereo

FLOWNET_WEIGHTS = (0.32, 0.08, 0.02, 0.01, 0.005)
"""Of the scales 1/64 .. 1/4, as in the released training of FlowNet."""
SMOOTHNESS_WEIGHT = 0.1


def gc_net_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean absolute error of the disparity (Kendall 2017, eq. 2)."""
    out = network(batch['left'], batch['right'])
    loss = weighted_mean((out['disparity_px'] - batch['disparity_px']).abs(), batch['weight'])
    return loss, {'epe_px': loss.detach()}


def flownet_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """End-point error of five scales."""
    out = network(batch['image0'], batch['image1'])
    loss = multi_scale_end_point_error(
        out['coarse_px'], batch['flow_px'], FLOWNET_WEIGHTS, batch['weight']
    )
    error = (out['flow_px'].detach() - batch['flow_px'])[:, :, ::4, ::4]
    return loss, {'epe_px': torch.linalg.vector_norm(error, dim=1).mean()}


def monodepth_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Each image explained by the other, smoothness, left-right consistency, on four scales.

    No truth is looked at; both images' disparities come from the left one alone.
    """
    scales = network(batch['left'])['scales']
    total = batch['left'].new_zeros(())
    for index, scale in enumerate(scales):
        size = scale.shape[2:]
        left, right = (F.interpolate(batch[name], size=size, mode='area')
                       for name in ('left', 'right'))
        # Monodepth's disparities are parts of the width; the right one's go the other way.
        own, other = scale[:, :1].float() * size[1], scale[:, 1:].float() * size[1]
        appearance = (photometric_error(left, sample_row(right, own)).mean()
                      + photometric_error(right, sample_row(left, -other)).mean())
        consistency = (left_right_consistency(own, other)
                       + left_right_consistency(other.flip(3), own.flip(3))) / size[1]
        smooth = (edge_aware_smoothness(scale[:, :1], left)
                  + edge_aware_smoothness(scale[:, 1:], right)) / 2**index
        total = total + appearance + consistency + SMOOTHNESS_WEIGHT * smooth
    return total, {'loss_a_scale': total.detach() / len(scales)}


def with_loss(
    root: Path, seed: int, build: Callable[[Path, int], Task], loss: Loss
) -> Task:
    """Return the task of a released recipe with another loss."""
    task = build(root, seed)
    return Task(task.batches, loss, task.evaluate)


def build_monodepth(root: Path, seed: int) -> Task:
    """Pairs to learn from without their truth."""
    task = build_stereo(root, seed)
    return Task(task.batches, monodepth_loss, lambda network: task.evaluate(_FromLeft(network)))


class _FromLeft(nn.Module):
    """A network of one image, called with two."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, left: Tensor, _: Tensor) -> dict[str, Tensor]:
        return {'disparity_px': self.network(left)['disparity_px']}


GC_NET = Recipe(
    'gc_net', 'gc_net', partial(with_loss, build=build_stereo, loss=gc_net_loss), minutes=600.0,
    learning_rate=1e-3, data=STEREO_DATA, data_licence=STEREO_LICENCE,
)
FLOWNET_S = Recipe(
    'flownet_s', 'flownet_s', partial(with_loss, build=build_flow, loss=flownet_loss),
    minutes=600.0, learning_rate=1e-4, data=FLOW_DATA, data_licence=FLOW_LICENCE,
)
FLOWNET_C = Recipe(
    'flownet_c', 'flownet_c', partial(with_loss, build=build_flow, loss=flownet_loss),
    minutes=600.0, learning_rate=1e-4, data=FLOW_DATA, data_licence=FLOW_LICENCE,
)
MONODEPTH = Recipe(
    'monodepth', 'monodepth', build_monodepth, minutes=600.0, learning_rate=1e-4,
    data=STEREO_DATA, data_licence=STEREO_LICENCE,
)
