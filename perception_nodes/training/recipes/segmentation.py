# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation on CamVid."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.losses.segmentation import heteroscedastic_cross_entropy
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.segmentation_batches import (
    Scene,
    SegmentationBatches,
    class_weights,
    normalise,
    read_camvid,
)

CLASSES = 11
NOISE_PAIRS = 1
AUXILIARY_WEIGHT = 0.4


class SegmentationLoss:
    """Heteroscedastic cross-entropy at half the resolution + a plain one on the auxiliary head."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of image and labels."""
        out = network(batch['image'])
        labels = batch['labels']
        weights = self.weights.to(labels.device)
        half = tuple(side // 2 for side in labels.shape[1:])
        logits, log_variance = (
            F.interpolate(out[name].float().contiguous(), size=half, mode='bilinear')
            for name in ('logits', 'log_variance')
        )
        noise = torch.randn(NOISE_PAIRS, *logits.shape, device=logits.device)
        main = heteroscedastic_cross_entropy(
            logits, log_variance, labels[:, 1::2, 1::2],
            torch.cat([noise, -noise]), weights,
        )
        auxiliary = F.cross_entropy(
            out['auxiliary'].float().contiguous(), labels[:, 4::8, 4::8], weights,
            ignore_index=255,
        )
        logged = {'main': main.detach(), 'log_variance': log_variance.detach().mean()}
        return main + AUXILIARY_WEIGHT * auxiliary, logged


class SegmentationEvaluation:
    """mIoU over whole pictures, one at a time at their own size (padded to multiples of 32)."""

    def __init__(self, scenes: list[Scene]) -> None:
        self.scenes = scenes

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        confusion = np.zeros((CLASSES, CLASSES))
        for scene in self.scenes:
            height, width = scene.labels.shape
            image = normalise(scene.image[None]).contiguous(memory_format=torch.channels_last)
            size = [32 * round(side / 32) for side in (height, width)]
            image = F.interpolate(image, size=size, mode='bilinear')
            logits = network(image)['logits'].float().contiguous()
            logits = F.interpolate(logits, size=(height, width), mode='bilinear')
            labels, valid = logits.argmax(1)[0].numpy(), scene.labels < CLASSES
            index = scene.labels[valid].astype(int) * CLASSES + labels[valid]
            confusion += np.bincount(index, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
        diagonal = np.diag(confusion)
        iou = diagonal / np.maximum(confusion.sum(0) + confusion.sum(1) - diagonal, 1)
        seen = confusion.sum(1) > 0
        result = {'miou': float(iou[seen].mean()), 'accuracy': diagonal.sum() / confusion.sum()}
        return result | {f'iou_{i}': float(value) for i, value in enumerate(iou)}


def build_camvid(root: Path, seed: int, held_out_drive: str | None = None) -> Task:
    """CamVid train for training (without a drive, if one is held out to be judged on), val."""
    train = read_camvid(root / 'camvid', 'train')
    judged = read_camvid(root / 'camvid', 'val')
    if held_out_drive is not None:
        judged = [scene for scene in train if scene.drive == held_out_drive]
        train = [scene for scene in train if scene.drive != held_out_drive]
    weights = class_weights(train, CLASSES, 0.5).clamp(max=3)
    return Task(
        SegmentationBatches(train, 8, seed), SegmentationLoss(weights),
        SegmentationEvaluation(judged),
    )


SEGMENTATION = Recipe(
    'segmentation', 'street_segmentation', build_camvid, minutes=60.0, learning_rate=2e-3,
    weight_decay=5e-2,
    data='CamVid train (367 pictures)', data_licence='CC BY-NC 4.0',
)
