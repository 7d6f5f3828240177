# SPDX-License-Identifier: Apache-2.0
"""Stereo depth on folded CamVid streets."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.regression import laplace_nll
from perception_nodes.losses.stereo_depth import level_cross_entropy
from perception_nodes.training.dense_batches import (
    DenseBatches,
    Images,
    layered_stereo_example,
    mixed,
    read_folded,
    stereo_example,
)
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_stereo_example, rendered_views

SIZE = (160, 416)
ENTROPY_WEIGHT = 0.5
HELD_OUT = 24
FOLDED, LAYERS, RENDERED = 0.5, 0.2, 0.3
DATA = (
    'CamVid train (367 images), folded into scenes by their labels and rendered as pairs; '
    'a fifth textured layers; 240 pairs of rendered streets'
)


def stereo_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Laplace likelihood of the disparity + cross-entropy of the scores at 1/4."""
    out = network(batch['left'], batch['right'])
    truth, weight = batch['disparity_px'], batch['weight']
    error = out['disparity_px'].float() - truth
    nll = laplace_nll(error, out['log_scale'].float(), weight)
    # One pixel of each cell, not their mean: over an edge that is a disparity nothing has.
    level = truth[:, :, 2::4, 2::4] / 4
    entropy = level_cross_entropy(out['scores'], level, weight[:, :, 2::4, 2::4])
    logged = {
        'nll': nll.detach(), 'entropy': entropy.detach(), 'epe_px': error.detach().abs().mean(),
    }
    return nll + ENTROPY_WEIGHT * entropy, logged


class StereoEvaluation:
    """Error on held-out pairs, drawn once: epe_px, d1 (over 3 px and 5 %), coverage of sigma."""

    def __init__(self, batches: DenseBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        errors, inside = [], []
        bad = []
        for batch in self.held_out:
            out = network(batch['left'], batch['right'])
            truth, seen = batch['disparity_px'], batch['weight'] == 1
            error = (out['disparity_px'] - truth).abs()[seen]
            errors.append(error.mean())
            bad.append(((error > 3) & (error > 0.05 * truth[seen])).float().mean())
            if 'log_scale' in out:
                sigma = np.sqrt(2) * out['log_scale'].exp()[seen]
                inside.append((error < sigma).float().mean())
        names = {'epe_px': errors, 'd1': bad, 'coverage1': inside}
        return {
            name: float(torch.stack(values).mean()) for name, values in names.items() if values
        }


def build_stereo(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be evaluated on."""
    train = Images(read_folded(root, 'train'), SIZE)
    evaluated = Images(read_folded(root, 'val'), SIZE)
    layers = partial(layered_stereo_example, size=SIZE, textures=root / 'camvid' / 'train')
    streets = partial(rendered_stereo_example, views=rendered_views(), size=SIZE)
    draw = mixed({
        partial(stereo_example, images=train): FOLDED, layers: LAYERS, streets: RENDERED,
    })
    return Task(
        DenseBatches(draw, 4, seed), stereo_loss,
        StereoEvaluation(DenseBatches(partial(stereo_example, images=evaluated), 4, 99), HELD_OUT),
    )


STEREO_DEPTH = Recipe(
    'stereo_depth', 'correlation_stereo', build_stereo, minutes=25.0, learning_rate=2e-3,
    weight_decay=1e-3, evaluate_minutes=5.0,
    data=DATA, data_licence='CC BY-NC 4.0',
)
