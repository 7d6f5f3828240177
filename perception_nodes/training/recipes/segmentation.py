# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation on CamVid: the released network and those it is compared with."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.losses.segmentation import (
    cross_entropy,
    heteroscedastic_cross_entropy,
    lovasz_softmax,
)
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.segmentation_batches import (
    Scene,
    SegmentationBatches,
    class_weights,
    normalise,
    read_camvid,
)

BATCH_SIZE = 8
NOISE_PAIRS = 1
AUXILIARY_WEIGHT = 0.4
LOVASZ_WEIGHT = 1.0
WEIGHT_POWER, LARGEST_WEIGHT = 0.15, 3.0


@dataclass(frozen=True)
class SegmentationLoss:
    """Cross-entropy at half the size (heteroscedastic if a network gives log_variance) + Lovasz.

    Lovasz is taken at a quarter of the size in every second row (whichever, by chance), so that
    its sorting stays cheap. Networks with an ``auxiliary`` output get a plain cross-entropy on it.

    Attributes
    ----------
    weights : float K, of the classes.
    """

    weights: Tensor

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of ``image`` and ``labels``."""
        # Contiguous: softmax over channels-last planes is five times slower on a CPU.
        out = {key: value.float().contiguous() for key, value in network(batch['image']).items()}
        labels = thinned(batch['labels'], 2)
        weights = self.weights.to(labels.device)
        logits = scaled(out['logits'], labels)
        if 'log_variance' in out:
            noise = torch.randn(NOISE_PAIRS, *logits.shape, device=logits.device)
            main = heteroscedastic_cross_entropy(
                logits, scaled(out['log_variance'], labels), labels,
                torch.cat([noise, -noise]), weights,
            )
        else:
            main = cross_entropy(logits, labels, weights)
        quarter = thinned(batch['labels'], 4)
        row = int(torch.randint(2, ()))
        lovasz = lovasz_softmax(
            scaled(out['logits'], quarter)[:, :, row::2].softmax(1), quarter[:, row::2]
        )
        total = main + LOVASZ_WEIGHT * lovasz
        logged = {'main': main.detach(), 'lovasz': lovasz.detach()}
        if 'log_variance' in out:
            logged['log_variance'] = out['log_variance'].detach().mean()
        if 'auxiliary' in out:
            eighth = thinned(batch['labels'], 8)
            auxiliary = cross_entropy(scaled(out['auxiliary'], eighth), eighth, weights)
            total = total + AUXILIARY_WEIGHT * auxiliary
        return total, logged


@dataclass(frozen=True)
class SegmentationEvaluation:
    """IoU of whole pictures, one at a time, made multiples of 32 in size."""

    scenes: list[Scene]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        metric = SegmentationMetric(CLASSES)
        device = next(network.parameters()).device
        for scene in self.scenes:
            image = normalise(scene.image[None]).to(device, memory_format=torch.channels_last)
            size = [32 * round(side / 32) for side in scene.labels.shape]
            image = F.interpolate(image, size=size, mode='bilinear')
            logits = network(image)['logits'].float().contiguous()
            logits = F.interpolate(logits, size=scene.labels.shape, mode='bilinear')
            metric.update(logits.argmax(1)[0].byte().cpu().numpy(), scene.labels)
        wanted = ('miou', 'accuracy', 'iou_')
        return {key: v for key, v in metric.compute().items() if key.startswith(wanted)}


def thinned(labels: Tensor, step: int) -> Tensor:
    """Every step-th label B H W in both directions.

    The middle of a cell lies between two pixels: chance takes the one before it or the one after,
    else predictions would lie half a pixel beside the truth, which thin poles do not bear.
    """
    first = step // 2 - 1 + torch.randint(2, (2,))
    return labels[:, int(first[0])::step, int(first[1])::step]


def scaled(planes: Tensor, like: Tensor) -> Tensor:
    """Resize B C h w bilinearly to the size of labels B H W."""
    return F.interpolate(planes, size=like.shape[1:], mode='bilinear')


def build_camvid(
    root: Path, seed: int, held_out_drive: str | None = None, share: float = 1.0
) -> Task:
    """CamVid train to learn from, val to be judged on.

    Parameters
    ----------
    root : folder that holds ``camvid/``.
    held_out_drive : a drive of train to be judged on instead, and not learned from.
    share : of train that is learned from, taken at equal steps.
    """
    train = read_camvid(root / 'camvid', 'train')
    judged = read_camvid(root / 'camvid', 'val')
    if held_out_drive is not None:
        judged = [scene for scene in train if scene.drive == held_out_drive]
        train = [scene for scene in train if scene.drive != held_out_drive]
    train = train[::round(1 / share)]
    weights = class_weights(train, len(CLASSES), WEIGHT_POWER).clamp(max=LARGEST_WEIGHT)
    return Task(
        SegmentationBatches(train, BATCH_SIZE, seed), SegmentationLoss(weights),
        SegmentationEvaluation(judged),
    )


SEGMENTATION = Recipe(
    'segmentation', 'street_segmentation', build_camvid, minutes=100.0, learning_rate=2e-3,
    weight_decay=2e-2, data='CamVid train (367 pictures)', data_licence='CC BY-NC 4.0',
)
UNSEEN_DRIVE = replace(
    SEGMENTATION, name='segmentation_unseen_drive',
    build=partial(build_camvid, held_out_drive='0001TP'),
    data='CamVid train without 0001TP (305 pictures)',
)
QUARTER = replace(
    SEGMENTATION, name='segmentation_quarter', build=partial(build_camvid, share=0.25),
    data='every 4th picture of CamVid train',
)
HALF = replace(
    SEGMENTATION, name='segmentation_half', build=partial(build_camvid, share=0.5),
    data='every 2nd picture of CamVid train',
)
COMPARED = tuple(
    replace(SEGMENTATION, name=name, network=name)
    for name in ('segnet', 'bayesian_segnet', 'fcn', 'unet', 'deeplabv3', 'pspnet')
)
SEGMENTATION_RECIPES = (SEGMENTATION, UNSEEN_DRIVE, HALF, QUARTER, *COMPARED)
