# SPDX-License-Identifier: Apache-2.0
"""Optical flow: layered and rendered scenes, small motions above all, and none."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.optical_flow import window_cross_entropy
from perception_nodes.losses.regression import laplace_nll, weighted_mean
from perception_nodes.training.dense_batches import (
    Images,
    Sample,
    draw_textures,
    layered_motion_example,
    mixed,
    motion_example,
    read_folded,
)
from perception_nodes.training.flow_evaluation import RecordedFlowEvaluation, held_out_sets
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_motion_example, rendered_views
from perception_nodes.training.worker_batches import WorkerBatches
from perception_nodes.types import Array

SIZE = (160, 320)
BATCH_SIZE = 4
ENTROPY_WEIGHT = 0.3
ERROR_WEIGHT = 0.5
QUICK_EVERY = 6
SHARES = {'layers': 0.5, 'folded': 0.2, 'rendered': 0.2, 'rest': 0.1}
SMALL, LARGE = (1.0, 10.0), (8.0, 60.0)
"""Longest motions of layered scenes, px: most robots move slowly, some do not."""
SMALL_SHARE = 0.65
DATA = (
    'layered scenes with textures of CamVid, IDD-Lite and an office, most of them in slow motion, '
    'and scenes at rest with the noise of a sensor; CamVid train, folded into scenes by its '
    'labels and rendered in motion; drives through 240 rendered views'
)
LICENCE = 'CC BY-NC 4.0, IDD (research), MIT'


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


def layers(rng: np.random.Generator, root: Path) -> Sample:
    """Draw layers with textures of one of the folders, most of them in slow motion."""
    low, high = np.log(SMALL if rng.random() < SMALL_SHARE else LARGE)
    folder = draw_textures(rng, root)
    return layered_motion_example(rng, SIZE, folder, float(np.exp(rng.uniform(low, high))))


def at_rest(rng: np.random.Generator, root: Path) -> Sample:
    """Draw a scene that does not move, seen twice through the noise of a sensor."""
    sample = layered_motion_example(rng, SIZE, draw_textures(rng, root), 1.0)
    image = sample['image1']
    deviation = float(np.exp(rng.uniform(np.log(0.5), np.log(8.0))))
    older, newest = (noisy(rng, image, deviation) for _ in range(2))
    return {
        'image0': older, 'image1': newest, 'flow_px': np.zeros_like(sample['flow_px']),
        'weight': np.ones_like(sample['weight']),
    }


def noisy(rng: np.random.Generator, image: Array, deviation: float) -> Array:
    """Add Gaussian noise, grey levels, to uint8 [H, W, 3]; now and then with another exposure."""
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(noise, 0, deviation)
    gain = rng.uniform(0.9, 1.1) if rng.random() < 0.3 else 1.0
    return np.clip(gain * image + noise, 0, 255).astype(np.uint8)


def build_flow(root: Path, seed: int) -> Task:
    """Learn from layered, folded and rendered motion; evaluate on what is recorded."""
    draws = {
        'layers': partial(layers, root=root),
        'folded': partial(motion_example, images=Images(read_folded(root, 'train'), SIZE)),
        'rendered': partial(rendered_motion_example, views=rendered_views(), size=SIZE),
        'rest': partial(at_rest, root=root),
    }
    batches = WorkerBatches(
        mixed({draws[name]: share for name, share in SHARES.items()}), BATCH_SIZE, seed
    )
    sets = held_out_sets(root)
    return Task(
        batches, flow_loss, RecordedFlowEvaluation(sets),
        quick_evaluate=RecordedFlowEvaluation(sets, QUICK_EVERY),
    )


OPTICAL_FLOW = Recipe(
    'optical_flow', 'pyramid_flow', build_flow, minutes=25.0, learning_rate=1.2e-3,
    weight_decay=1e-3, evaluate_minutes=8.0, ema_decay=0.999,
    data=DATA, data_licence=LICENCE,
)
