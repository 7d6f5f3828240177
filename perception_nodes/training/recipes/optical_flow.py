# SPDX-License-Identifier: Apache-2.0
"""Optical flow on folded CamVid streets."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.optical_flow import window_cross_entropy
from perception_nodes.losses.regression import laplace_nll, weighted_mean
from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    layered_motion_example,
    mixed,
    motion_example,
    read_folded,
)
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_motion_example, rendered_views

SIZE = (160, 320)
ENTROPY_WEIGHT = 0.3
ERROR_WEIGHT = 0.5
HELD_OUT = 24
FOLDED, LAYERS, RENDERED = 0.5, 0.25, 0.25
DATA = (
    'CamVid train (367 images), folded into scenes by their labels and rendered in motion; '
    'a quarter textured layers, a quarter drives through 240 rendered views'
)


def flow_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Laplace likelihood of the flow + of every level its error and its window's cross-entropy."""
    out = network(batch['image0'], batch['image1'])
    truth, weight = batch['flow_px'], batch['weight']
    error = out['flow_px'].float() - truth
    nll = laplace_nll(error, out['log_scale'].float(), weight)
    total = nll
    for start, flow, scores in zip(out['start'], out['flows'], out['scores'], strict=True):
        step = truth.shape[3] // flow.shape[3]
        centre = slice(step // 2, None, step)
        wanted, at = truth[:, :, centre, centre] / step, weight[:, :, centre, centre]
        # Log: a match that is far off must not drown those that are nearly right.
        far = torch.sqrt(((flow - wanted) ** 2).sum(1, keepdim=True) + 1e-6)
        total = total + ERROR_WEIGHT * weighted_mean(torch.log1p(far), at)
        total = total + ENTROPY_WEIGHT * window_cross_entropy(scores, start - wanted, at)
    epe = torch.linalg.vector_norm(error.detach()[:, :, ::4, ::4], dim=1).mean()
    return total, {'nll': nll.detach(), 'epe_px': epe}


class FlowEvaluation:
    """Error on held-out pairs, drawn once: epe_px, that of no motion, coverage of sigma."""

    def __init__(self, batches: DenseBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        errors, still, inside = [], [], []
        for batch in self.held_out:
            out = network(batch['image0'], batch['image1'])
            truth, seen = batch['flow_px'], batch['weight'][:, 0] == 1
            error = out['flow_px'] - truth
            errors.append(torch.linalg.vector_norm(error, dim=1)[seen].mean())
            still.append(torch.linalg.vector_norm(truth, dim=1)[seen].mean())
            if 'log_scale' in out:
                sigma = np.sqrt(2) * out['log_scale'].exp()
                inside.append((error.abs() < sigma).float().mean(1)[seen].mean())
        names = {'epe_px': errors, 'epe_of_zero_px': still, 'coverage1': inside}
        return {
            name: float(torch.stack(values).mean()) for name, values in names.items() if values
        }


def build_flow(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be evaluated on."""
    train = Images(read_folded(root, 'train'), SIZE)
    evaluated = Images(read_folded(root, 'val'), SIZE)
    layers = partial(layered_motion_example, size=SIZE, textures=root / 'camvid' / 'train')
    streets = partial(rendered_motion_example, views=rendered_views(), size=SIZE)
    draw = mixed({
        partial(motion_example, images=train): FOLDED, layers: LAYERS, streets: RENDERED,
    })
    return Task(
        DenseBatches(draw, 4, seed), flow_loss,
        FlowEvaluation(DenseBatches(partial(motion_example, images=evaluated), 4, 99), HELD_OUT),
    )


OPTICAL_FLOW = Recipe(
    'optical_flow', 'pyramid_flow', build_flow, minutes=20.0, learning_rate=1.5e-3,
    weight_decay=1e-3, evaluate_minutes=5.0,
    data=DATA, data_licence='CC BY-NC 4.0',
)
