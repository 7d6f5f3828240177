# SPDX-License-Identifier: Apache-2.0
"""Mono depth of streets and rooms, in metres at the camera's own focal length."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from perception_nodes.inference.models import model_path
from perception_nodes.losses.mono_depth import log_gradient_error, scale_invariant_log_error
from perception_nodes.losses.regression import laplace_nll, weighted_mean
from perception_nodes.training.consensus import label_folder
from perception_nodes.training.dense_batches import Images, depth_example, mixed, read_folded
from perception_nodes.training.depth_evaluation import RecordedDepthEvaluation, held_out_sets
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.recorded_depth import (
    DepthView,
    bag_views,
    drive_views,
    kitti_views,
    known_everywhere,
    office_views,
    view_example,
)
from perception_nodes.training.released_weights import initialise_from_released
from perception_nodes.training.rendered_batches import rendered_depth_example, rendered_views
from perception_nodes.training.stereo_labels import StereoLabels
from perception_nodes.training.worker_batches import WorkerBatches

SIZE = (192, 384)
BATCH_SIZE = 8
FOLDED_SCALES = (0.9, 2.0)
PLAIN_WEIGHT, GRADIENT_WEIGHT, SHAPE_WEIGHT = 1.0, 0.5, 0.5
SHARES = {'drive': 0.26, 'bag': 0.1, 'kitti': 0.12, 'office': 0.27, 'rendered': 0.12,
          'folded': 0.13}  # fmt: skip
QUICK_EVERY = 4


def depth_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Laplace likelihood of log-depth, its plain error, that of its slopes and of its shape.

    All where the depth is known. The shape's error is the deviation of the error over an image:
    what is left when the scale of the whole image is right.
    """
    out = network(batch['image'])
    found, truth, weight = out['log_depth'].float(), batch['log_depth'], batch['weight']
    error = found - truth
    nll = laplace_nll(error, out['log_scale'].float(), weight)
    plain = weighted_mean(error.abs(), weight)
    gradient = log_gradient_error(found, truth, weight)
    shape = scale_invariant_log_error(found, truth, weight, balance=1.0)
    deviation = torch.sqrt(shape.clamp(min=1e-6)).mean()
    logged = {
        'nll': nll.detach(), 'log_error': plain.detach(), 'shape_error': deviation.detach(),
    }
    total = nll + PLAIN_WEIGHT * plain + GRADIENT_WEIGHT * gradient + SHAPE_WEIGHT * deviation
    return total, logged


def recorded_views(root: Path) -> dict[str, list[DepthView]]:
    """Read what is learned from recordings, by the names of SHARES.

    Labels of pairs are kept on disk, see ``consensus.label_folder``.
    """
    labels = StereoLabels(label_folder())
    return {
        'drive': drive_views(root / 'kitti_drive_0926', labels),
        'bag': bag_views(root.parent / 'bags' / 'kitti_06_stereo', labels),
        'kitti': kitti_views(root / 'kitti_stereo_2015'),
        'office': office_views(root / 'hololens_office'),
    }


def build_depth(root: Path, seed: int) -> Task:
    """Learn from recorded, rendered and folded images; evaluate on what is held out."""
    views = recorded_views(root)
    draws = {name: partial(view_example, views=found, size=SIZE) for name, found in views.items()}
    exact = {
        'rendered': partial(rendered_depth_example, views=rendered_views(), size=SIZE),
        'folded': partial(
            depth_example, images=Images(read_folded(root, 'train'), SIZE, FOLDED_SCALES)
        ),
    }
    draws |= {name: partial(known_everywhere, draw=draw) for name, draw in exact.items()}
    sets = held_out_sets(root)
    task = Task(
        WorkerBatches(mixed({draws[name]: share for name, share in SHARES.items()}), BATCH_SIZE,
                      seed),
        depth_loss, RecordedDepthEvaluation(sets),
        quick_evaluate=RecordedDepthEvaluation(sets, QUICK_EVERY),
    )  # fmt: skip
    return replace(task, prepare=partial(begin_with_segmentation, task=task))


def begin_with_segmentation(network: nn.Module, task: Task) -> None:
    """Take the encoder and decoder of the released segmentation model."""
    initialise_from_released(model_path('segmentation'), network, task, part='seeing')


MONO_DEPTH = Recipe(
    'mono_depth', 'mono_depth_net', build_depth, minutes=24.0, learning_rate=2e-3,
    weight_decay=1e-2, evaluate_minutes=4.0,
    data='a KITTI drive (first two thirds) and a KITTI odometry sequence, with stereo consensus, '
    'the released stereo model where that is silent, and LiDAR; 15 images of KITTI stereo 2015; '
    'an office by HoloLens, without one corner; 240 views of rendered streets; CamVid train, '
    'folded into scenes by its labels; encoder and decoder begin as those of the released '
    'segmentation model',
    data_licence='CC BY-NC 4.0, CC BY-NC-SA 3.0, MIT',
)
