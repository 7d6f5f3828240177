# SPDX-License-Identifier: Apache-2.0
"""Keypoints and descriptors on CamVid images and drawn shapes under known homographies."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from perception_nodes.losses.features import cell_loss, dual_softmax_loss, sample_descriptors
from perception_nodes.training.feature_batches import CELL, SAME_PX, FeatureBatches
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.segmentation_batches import read_camvid

HELD_OUT = 12
EMPTY_WEIGHT = 0.15
DETECTOR_WEIGHT = 2.0


def features_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Detector's cross-entropy on both views + descriptors' dual softmax."""
    first, second = network(batch['image0']), network(batch['image1'])
    detector = 0.5 * (
        cell_loss(first['logits'], batch['cells0'], EMPTY_WEIGHT)
        + cell_loss(second['logits'], batch['cells1'], EMPTY_WEIGHT)
    )
    score0 = sample_descriptors(first['descriptors'].float(), batch['points0'], CELL)
    score1 = sample_descriptors(second['descriptors'].float(), batch['points1'], CELL)
    descriptor = dual_softmax_loss(score0, score1, too_near(batch['points1']))
    logged = {'detector': detector.detach(), 'matching': descriptor.detach()}
    return DETECTOR_WEIGHT * detector + descriptor, logged


def too_near(points: Tensor) -> Tensor:
    """Pairs of different points that one cell blurs together, bool B N N."""
    near = torch.cdist(points, points) < SAME_PX
    return near & ~torch.eye(points.shape[1], dtype=torch.bool, device=points.device)


class FeaturesEvaluation:
    """On held-out views: matched, found.

    matched : share of points whose nearest descriptor is the right one. found : share of the
    cells with a keypoint where it is found within a pixel.
    """

    def __init__(self, batches: FeatureBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        matched, found = [], []
        for batch in self.held_out:
            first, second = network(batch['image0']), network(batch['image1'])
            score0 = sample_descriptors(first['descriptors'], batch['points0'], CELL)
            score1 = sample_descriptors(second['descriptors'], batch['points1'], CELL)
            nearest = (score0 @ score1.transpose(1, 2)).argmax(2)
            there = batch['points1'].gather(1, nearest[..., None].expand(-1, -1, 2))
            matched.append(((there - batch['points1']).norm(dim=-1) < SAME_PX).float().mean())
            cells = batch['cells0']
            own = first['logits'].argmax(1)
            apart = (own % CELL - cells % CELL).abs().maximum((own // CELL - cells // CELL).abs())
            taken = cells < CELL**2
            found.append(((apart <= 1) & (own < CELL**2))[taken].float().mean())
        names = {'matched': matched, 'found': found}
        return {name: float(torch.stack(values).mean()) for name, values in names.items()}


def build_features(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be evaluated on."""
    train = [scene.image for scene in read_camvid(root / 'camvid', 'train')]
    evaluated = [scene.image for scene in read_camvid(root / 'camvid', 'val')]
    return Task(
        FeatureBatches(train, seed=seed), features_loss,
        FeaturesEvaluation(FeatureBatches(evaluated, batch_size=4, seed=99, shapes=0.0), HELD_OUT),
    )


FEATURES = Recipe(
    'features', 'keypoint_net', build_features, minutes=15.0, learning_rate=2e-3,
    weight_decay=1e-3, evaluate_minutes=5.0,
    data='CamVid train (367 images) and drawn shapes under random homographies',
    data_licence='CC BY-NC 4.0',
)

# The same task for the published network, which is ten times as heavy.
SUPERPOINT = replace(FEATURES, name='superpoint', network='superpoint', learning_rate=1e-3)
