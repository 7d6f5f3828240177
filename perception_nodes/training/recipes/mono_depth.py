# SPDX-License-Identifier: Apache-2.0
"""Mono depth on folded CamVid streets."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.mono_depth import log_gradient_error
from perception_nodes.losses.regression import laplace_nll
from perception_nodes.training.checkpoint import FILE_NAME
from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    depth_example,
    mixed,
    read_folded,
)
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_depth_example, rendered_views
from perception_nodes.training.transplant import transplant

SIZE = (160, 384)
SCALES = (0.9, 2.0)
PLAIN_WEIGHT = 1.0
GRADIENT_WEIGHT = 0.5
HELD_OUT = 24
FOLDED, RENDERED = 0.6, 0.4


def depth_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Laplace likelihood of log-depth + its plain error + the error of its gradients."""
    out = network(batch['image'])
    error = out['log_depth'].float() - batch['log_depth']
    nll = laplace_nll(error, out['log_scale'].float())
    gradient = log_gradient_error(out['log_depth'].float(), batch['log_depth'])
    logged = {'nll': nll.detach(), 'log_error': error.detach().abs().mean()}
    return nll + PLAIN_WEIGHT * error.abs().mean() + GRADIENT_WEIGHT * gradient, logged


class DepthEvaluation:
    """Error on held-out images, drawn once, up to 80 m: abs_rel, delta1, coverage of sigma."""

    def __init__(self, batches: DenseBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        relative, near, inside = [], [], []
        for batch in self.held_out:
            out = network(batch['image'])
            counted = batch['log_depth'] < np.log(80.0)
            error = (out['log_depth'] - batch['log_depth'])[counted]
            sigma = np.sqrt(2) * out['log_scale'].exp()[counted]
            relative.append((error.exp() - 1).abs().mean())
            near.append((error.abs() < np.log(1.25)).float().mean())
            inside.append((error.abs() < sigma).float().mean())
        names = {'abs_rel': relative, 'delta1': near, 'coverage1': inside}
        return {name: float(torch.stack(values).mean()) for name, values in names.items()}


def initialise_from_segmentation(network: nn.Module, out: Path) -> None:
    """Take the eyes of the segmentation network, trained before in the folder beside this one."""
    transplant(out.parent / 'segmentation' / FILE_NAME, network.seeing)


def build_depth(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be evaluated on."""
    train = Images(read_folded(root, 'train'), SIZE, SCALES)
    evaluated = Images(read_folded(root, 'val'), SIZE, SCALES)
    streets = partial(rendered_depth_example, views=rendered_views(), size=SIZE)
    draw = mixed({partial(depth_example, images=train): FOLDED, streets: RENDERED})
    return Task(
        DenseBatches(draw, 8, seed), depth_loss,
        DepthEvaluation(DenseBatches(partial(depth_example, images=evaluated), 4, 99), HELD_OUT),
    )


MONO_DEPTH = Recipe(
    'mono_depth', 'mono_depth_net', build_depth, minutes=15.0, learning_rate=1e-3,
    begin=initialise_from_segmentation,
    weight_decay=1e-2, evaluate_minutes=5.0,
    data='CamVid train (367 images), folded into scenes by their labels; 240 views of '
    'rendered streets; the encoder begins as that of the segmentation recipe',
    data_licence='CC BY-NC 4.0',
)
