# SPDX-License-Identifier: Apache-2.0
"""Stereo depth: recorded pairs under consensus labels beside layered and rendered scenes."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.regression import laplace_nll, weighted_mean
from perception_nodes.losses.stereo_depth import level_cross_entropy
from perception_nodes.training.consensus import label_folder
from perception_nodes.training.dense_batches import (
    Draw,
    Images,
    Sample,
    draw_textures,
    layered_stereo_example,
    mixed,
    read_folded,
    stereo_example,
)
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.recorded_pairs import (
    bag_pairs,
    disturbed,
    drive_pairs,
    measured_pairs,
    pair_example,
)
from perception_nodes.training.rendered_batches import rendered_stereo_example, rendered_views
from perception_nodes.training.stereo_evaluation import (
    RecordedStereoEvaluation,
    held_out_sets,
    kitti_pairs,
    middlebury_pairs,
)
from perception_nodes.training.worker_batches import WorkerBatches

SIZE = (160, 416)
BATCH_SIZE = 4
ENTROPY_WEIGHT = 0.5
ROBUST_WEIGHT = 0.5
QUICK_EVERY = 3
# The drive's images are three quarters of KITTI's own size, Middlebury's are small.
DRIVE_SCALES, KITTI_SCALES, MIDDLEBURY_SCALES = (0.55, 1.25), (0.42, 0.95), (0.9, 1.5)
SHARES = {'drive': 0.37, 'bag': 0.06, 'layers': 0.27, 'folded': 0.15, 'rendered': 0.15}
MEASURED_SHARES = {'drive': 0.27, 'bag': 0.05, 'layers': 0.18, 'folded': 0.08, 'rendered': 0.1,
                   'kitti': 0.16, 'middlebury': 0.16}  # fmt: skip
FAR_BEYOND = 0.1
"""Share of the layered scenes closer than the disparity range: sigma must grow there."""
DATA = (
    'a KITTI drive (first two thirds) and a KITTI odometry sequence under consensus labels of two '
    'semi-global matchings; layered scenes with textures of CamVid, IDD-Lite and an office; '
    'CamVid train, folded into scenes by its labels; 240 pairs of rendered streets'
)
LICENCE = 'CC BY-NC 4.0, CC BY-NC-SA 3.0, IDD (research), MIT'


def stereo_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Laplace likelihood of the disparity, log of its error, cross-entropy of the scores at 1/4.

    The likelihood asks little of pixels that are uncertain anyway; the log of the error does not
    let them go, and does not let what is far off drown the rest.
    """
    out = network(batch['left'], batch['right'])
    truth, weight = batch['disparity_px'], batch['weight']
    error = out['disparity_px'].float() - truth
    nll = laplace_nll(error, out['log_scale'].float(), weight)
    robust = weighted_mean(torch.log1p(error.abs()), weight)
    # One pixel of each cell, not their mean: over an edge that is a disparity nothing has.
    level = truth[:, :, 2::4, 2::4] / 4
    entropy = level_cross_entropy(out['scores'], level, weight[:, :, 2::4, 2::4])
    logged = {
        'nll': nll.detach(), 'entropy': entropy.detach(),
        'epe_px': weighted_mean(error.detach().abs(), weight),
    }
    return nll + ENTROPY_WEIGHT * entropy + ROBUST_WEIGHT * robust, logged


def layers(rng: np.random.Generator, root: Path) -> Sample:
    """Draw layers with textures of one of the folders, some of them nearer than can be matched."""
    folder = draw_textures(rng, root)
    most = float(np.exp(rng.uniform(3.0, 5.0)))
    if rng.random() < FAR_BEYOND:
        most = float(rng.uniform(150, 330))
    return layered_stereo_example(rng, SIZE, folder, most)


def disturbed_of(rng: np.random.Generator, draw: Draw) -> Sample:
    """Draw an example and make its right camera worse now and then."""
    return disturbed(rng, draw(rng))


def sources(root: Path) -> dict[str, Draw]:
    """Return what examples are drawn from, by the names of the shares."""
    kept = label_folder()
    return {
        'drive': partial(
            pair_example, pairs=drive_pairs(root / 'kitti_drive_0926', kept), size=SIZE,
            scales=DRIVE_SCALES,
        ),
        'bag': partial(
            pair_example, pairs=bag_pairs(root.parent / 'bags' / 'kitti_06_stereo', kept),
            size=SIZE, scales=KITTI_SCALES,
        ),
        'kitti': partial(
            pair_example, pairs=measured_pairs(kitti_pairs(root, 'fit')), size=SIZE,
            scales=KITTI_SCALES,
        ),
        'middlebury': partial(
            pair_example, pairs=measured_pairs(middlebury_pairs(root, 'fit')),
            size=SIZE, scales=MIDDLEBURY_SCALES,
        ),
        'layers': partial(layers, root=root),
        'folded': partial(stereo_example, images=Images(read_folded(root, 'train'), SIZE)),
        'rendered': partial(rendered_stereo_example, views=rendered_views(), size=SIZE),
    }


def build_stereo(root: Path, seed: int, shares: Mapping[str, float] = SHARES) -> Task:
    """Learn from recorded, layered, folded and rendered pairs; evaluate on what is held out."""
    found = sources(root)
    draw = mixed({found[name]: share for name, share in shares.items()})
    batches = WorkerBatches(partial(disturbed_of, draw=draw), BATCH_SIZE, seed)
    sets = held_out_sets(root)
    return Task(
        batches, stereo_loss, RecordedStereoEvaluation(sets),
        quick_evaluate=RecordedStereoEvaluation(sets, QUICK_EVERY),
    )


STEREO_DEPTH_UNMEASURED = Recipe(
    'stereo_depth_unmeasured', 'correlation_stereo', build_stereo, minutes=42.0,
    learning_rate=1.2e-3, weight_decay=1e-3, evaluate_minutes=9.0, ema_decay=0.999,
    data=DATA, data_licence=LICENCE,
)
"""Without any pair that has ground truth; what the released one began with."""

STEREO_DEPTH = Recipe(
    'stereo_depth', 'correlation_stereo', partial(build_stereo, shares=MEASURED_SHARES),
    minutes=6.0, learning_rate=4e-4, weight_decay=1e-3, evaluate_minutes=20.0, ema_decay=0.998,
    data=f'{DATA}; at the end 10 pairs of KITTI stereo 2015 and 3 of Middlebury with their '
    'ground truth', data_licence=LICENCE,
)
