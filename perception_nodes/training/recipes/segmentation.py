# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation on CamVid: the released network and those it is compared with."""

from dataclasses import dataclass, replace
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
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_scenes
from perception_nodes.training.segmentation_batches import (
    Scene,
    SegmentationBatches,
    class_weights,
    read_camvid,
)
from perception_nodes.training.segmentation_evaluation import SegmentationEvaluation

BATCH_SIZE = 4
NOISE_PAIRS = 2
COARSE_WEIGHT = AUXILIARY_WEIGHT = 0.4
LOVASZ_WEIGHT, LOVASZ_ROWS = 1.0, 4
WEIGHT_POWER, LARGEST_WEIGHT = 0.15, 3.0
# An image's pixels tell the same thing many times: it counts as so many independent ones.
OBSERVATIONS = 2
RENDERED_SHARE, RENDERED_VIEWS = 1 / 3, 960
QUICK_EVERY = 4


@dataclass(frozen=True)
class SegmentationLoss:
    """Cross-entropy and Lovasz of the logits at half the size.

    Networks with ``coarse_logits`` and their ``log_variance`` get the heteroscedastic
    cross-entropy on them at a quarter, those with ``auxiliary`` logits a plain one at an eighth.
    Lovasz is taken of every fourth row (whichever, by chance): its sorting stays cheap. A network
    that learns its dropout is held to a broad posterior by the entropy of its masks over the
    number of observations (Gal, Hron & Kendall 2017): the fewer images, the more is dropped.

    Attributes
    ----------
    weights : float K, of the classes.
    images : number of real images that are learned from; rendered ones tell nothing that is
        sure of real streets.
    """

    weights: Tensor
    images: int

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of ``image`` and ``labels``."""
        # Contiguous: softmax over channels-last planes is five times slower on a CPU.
        out = {key: value.float().contiguous() for key, value in network(batch['image']).items()}
        labels = thinned(batch['labels'], 2)
        weights = self.weights.to(labels.device)
        logits = scaled(out['logits'], labels)
        main = cross_entropy(logits, labels, weights)
        row = int(torch.randint(LOVASZ_ROWS, ()))
        rows = slice(row, None, LOVASZ_ROWS)
        lovasz = lovasz_softmax(logits[:, :, rows].softmax(1), labels[:, rows])
        total = main + LOVASZ_WEIGHT * lovasz
        logged = {'main': main.detach(), 'lovasz': lovasz.detach()}
        if 'log_variance' in out:
            quarter = thinned(batch['labels'], 4)
            coarse, log_variance = out['coarse_logits'], out['log_variance']
            noise = torch.randn(NOISE_PAIRS, *coarse.shape, device=coarse.device)
            total = total + COARSE_WEIGHT * heteroscedastic_cross_entropy(
                coarse, log_variance, quarter, torch.cat([noise, -noise]), weights
            )
            logged['log_variance'] = log_variance.detach().mean()
        if 'auxiliary' in out:
            eighth = thinned(batch['labels'], 8)
            auxiliary = cross_entropy(scaled(out['auxiliary'], eighth), eighth, weights)
            total = total + AUXILIARY_WEIGHT * auxiliary
        if 'mask_entropy' in out:
            total = total - out['mask_entropy'] / (OBSERVATIONS * self.images)
            logged['mask_entropy'] = out['mask_entropy'].detach()
        return total, logged


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
    root: Path, seed: int, rendered_share: float = RENDERED_SHARE
) -> Task:
    """CamVid train (and rendered streets) to learn from, val to be evaluated on.

    Parameters
    ----------
    root : folder that holds ``camvid/``.
    rendered_share : of the training images that are rendered; 0: nothing is rendered.
    """
    return segmentation_task(
        read_camvid(root / 'camvid', 'train'), {'val': read_camvid(root / 'camvid', 'val')}, seed,
        rendered_share,
    )


def segmentation_task(
    train: list[Scene], evaluated: dict[str, list[Scene]], seed: int, rendered_share: float,
    samples: int = 0, flip: bool = False,
) -> Task:
    """Give the task of learning from some images and being evaluated on sets of others.

    Parameters
    ----------
    samples, flip : of the last evaluation; those on the way are without.
    """
    weights = class_weights(train, len(CLASSES), WEIGHT_POWER).clamp(max=LARGEST_WEIGHT)
    rendered = rendered_scenes(RENDERED_VIEWS) if rendered_share else []
    return Task(
        SegmentationBatches(train, BATCH_SIZE, seed, None, rendered, rendered_share),
        SegmentationLoss(weights, len(train)),
        SegmentationEvaluation(evaluated, samples, flip=flip),
        quick_evaluate=SegmentationEvaluation(evaluated, every=QUICK_EVERY),
    )


# The released model began with the weights of ``segmentation_unseen`` (docs/segmentation.md).
SEGMENTATION = Recipe(
    'segmentation', 'bayesian_context_net', build_camvid, steps=6000, learning_rate=2e-3,
    weight_decay=2e-2,
    data='CamVid train (367 images), a third of the crops from rendered streets',
    data_licence='CC BY-NC 4.0',
)
PUBLISHED = tuple(
    replace(SEGMENTATION, name=name, network=name, steps=None, minutes=100.0)
    for name in ('segnet', 'bayesian_segnet', 'fcn', 'unet', 'deeplabv3', 'pspnet')
)
SEGMENTATION_RECIPES = (SEGMENTATION, *PUBLISHED)
