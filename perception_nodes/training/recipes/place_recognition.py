# SPDX-License-Identifier: Apache-2.0
"""Place descriptors: local features gathered, then views of one place drawn together."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from perception_nodes.losses.metric_learning import hardest_in_batch_triplets
from perception_nodes.networks.place_descriptor import PlaceDescriptor
from perception_nodes.training.checkpoint import FILE_NAME, load_weights
from perception_nodes.training.place_batches import PlaceBatches
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.segmentation_batches import read_camvid

HELD_OUT = 4
MARGIN = 0.3
TEMPERATURE = 0.07
FEATURES_RUN = Path('runs/features')
PREPARED_STEPS = 60
STRONGEST = 60  # cells of a view that the centres are made from


def place_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Hardest-negative triplets + the cross-entropy of finding the positive in the batch."""
    both = network(torch.cat([batch['anchor'], batch['positive']])).float()
    anchor, positive = both.chunk(2)
    triplet = hardest_in_batch_triplets(anchor, positive, MARGIN, batch['excluded'])
    score = anchor @ positive.T / TEMPERATURE
    score = score.masked_fill(batch['excluded'], -1e4)
    own = torch.arange(len(score), device=score.device)
    found = 0.5 * (
        nn.functional.cross_entropy(score, own) + nn.functional.cross_entropy(score.T, own)
    )
    return triplet + found, {'triplet': triplet.detach(), 'found': found.detach()}


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


def start_from_features(network: PlaceDescriptor, batches: PlaceBatches, checkpoint: Path) -> None:
    """Take trained local features, k-means centres of them, and principal components of VLAD.

    Raises
    ------
    PerceptionError
        If there is no checkpoint of the features network: train that first.
    """
    load_weights(checkpoint, network.features, 'keypoint_net')
    network.features.requires_grad_(False)
    was_training = network.training
    network.eval()
    views = torch.cat([batches.batch(step)['anchor'] for step in range(PREPARED_STEPS)])
    with torch.inference_mode():
        cells = torch.cat([strongest_cells(network, part) for part in views.split(16)]).numpy()
        cv2.setRNGSeed(batches.seed)
        _, _, centres = cv2.kmeans(
            cells, len(network.vlad.centres), None, (3, 30, 1e-3), 1, cv2.KMEANS_PP_CENTERS
        )
        network.vlad.centres.copy_(torch.from_numpy(centres))
        vectors = torch.cat([network.gather(part) for part in views.split(16)]).numpy()
        mean = vectors.mean(0)
        _, _, components = np.linalg.svd(vectors - mean, full_matrices=False)
        components = components[: network.project.out_features]
        network.project.weight.copy_(torch.from_numpy(components))
        network.project.bias.copy_(torch.from_numpy(-components @ mean))
    network.train(was_training)


def strongest_cells(network: PlaceDescriptor, images: Tensor) -> Tensor:
    """Descriptors [B * STRONGEST, D] of the cells that are keypoints most clearly."""
    out = network.features(images)
    empty = torch.softmax(out['logits'], 1)[:, -1].flatten(1)
    chosen = empty.topk(STRONGEST, dim=1, largest=False).indices
    local = out['descriptors'].flatten(2)
    picked = local.gather(2, chosen[:, None].expand(-1, local.shape[1], -1))
    return picked.transpose(1, 2).reshape(-1, local.shape[1])


def build_place(root: Path, seed: int) -> Task:
    """CamVid train to learn from, val to be evaluated on."""
    train = PlaceBatches(read_camvid(root / 'camvid', 'train'), seed=seed)
    evaluated = read_camvid(root / 'camvid', 'val')
    return Task(
        train, place_loss,
        PlaceEvaluation(PlaceBatches(evaluated, batch_size=48, seed=99), HELD_OUT),
        partial(start_from_features, batches=train, checkpoint=FEATURES_RUN / FILE_NAME),
    )


def build_netvlad(root: Path, seed: int) -> Task:
    """Build the same task for a network that starts from nothing, with fewer images a batch."""
    task = build_place(root, seed)
    return replace(task, batches=replace(task.batches, batch_size=8), prepare=None)


PLACE_RECOGNITION = Recipe(
    'place_recognition', 'place_descriptor', build_place, minutes=8.0, learning_rate=2e-4,
    weight_decay=1e-3, evaluate_minutes=4.0, bf16=False,
    data='CamVid train (367 images) under random perspective, crop and light; starts from the '
    'features network',
    data_licence='CC BY-NC 4.0',
)

NETVLAD = replace(
    PLACE_RECOGNITION, name='netvlad', network='netvlad', build=build_netvlad,
    data='CamVid train (367 images) under random perspective, crop and light',
)
