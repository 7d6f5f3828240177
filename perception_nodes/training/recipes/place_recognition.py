# SPDX-License-Identifier: Apache-2.0
"""Place descriptors on CamVid: views of one place near each other, of others apart."""

from pathlib import Path

import torch
from torch import Tensor, nn

from perception_nodes.losses.metric_learning import hardest_in_batch_triplets
from perception_nodes.training.place_batches import PlaceBatches
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.segmentation_batches import read_camvid

HELD_OUT = 4
MARGIN = 0.4
SPREAD_WEIGHT = 0.5
TEMPERATURE = 0.07


def place_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Hardest-negative triplets + the cross-entropy of finding the positive in the batch."""
    both = network(torch.cat([batch['anchor'], batch['positive']])).float()
    anchor, positive = both.chunk(2)
    triplet = hardest_in_batch_triplets(anchor, positive, MARGIN, batch['excluded'])
    score = anchor @ positive.T / TEMPERATURE
    score = score.masked_fill(batch['excluded'], -1e4)
    own = torch.arange(len(score), device=score.device)
    spread = nn.functional.cross_entropy(score, own) + nn.functional.cross_entropy(score.T, own)
    return triplet + SPREAD_WEIGHT * spread, {
        'triplet': triplet.detach(), 'spread': spread.detach()
    }


class PlaceEvaluation:
    """recall1: share of held-out views whose nearest other view shows their place."""

    def __init__(self, batches: PlaceBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        hits, near, far = [], [], []
        own = torch.arange(self.held_out[0]['anchor'].shape[0])
        itself = own[:, None] == own[None]
        for batch in self.held_out:
            score = network(batch['anchor']) @ network(batch['positive']).T
            score = score.masked_fill(batch['excluded'], -1)
            hits.append((score.argmax(1) == own).float().mean())
            near.append(score.diagonal().mean())
            far.append(score.masked_fill(itself, -1).amax(1).mean())
        names = {'recall1': hits, 'similarity_same': near, 'similarity_hardest': far}
        return {name: float(torch.stack(values).mean()) for name, values in names.items()}


def build_place(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be judged on."""
    train = read_camvid(root / 'camvid', 'train')
    judged = read_camvid(root / 'camvid', 'val')
    return Task(
        PlaceBatches(train, seed=seed), place_loss,
        PlaceEvaluation(PlaceBatches(judged, batch_size=48, seed=99), HELD_OUT),
    )


PLACE_RECOGNITION = Recipe(
    'place_recognition', 'street_place', build_place, minutes=12.0, learning_rate=2e-3,
    weight_decay=1e-3, evaluate_minutes=4.0,
    data='CamVid train (367 pictures) under random perspective, crop and light',
    data_licence='CC BY-NC 4.0',
)
