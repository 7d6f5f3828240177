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
    with_merged,
)
from perception_nodes.training.merged_scenes import merged_classes, read_idd
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.rendered_batches import rendered_scenes
from perception_nodes.training.segmentation_batches import (
    Scene,
    SegmentationBatches,
    class_weights,
    read_camvid,
)
from perception_nodes.training.segmentation_evaluation import SegmentationEvaluation
from perception_nodes.types import UNLABELLED

BATCH_SIZE = 4
NOISE_PAIRS = 2
COARSE_WEIGHT = AUXILIARY_WEIGHT = 0.4
LOVASZ_WEIGHT, LOVASZ_ROWS = 1.0, 4
WEIGHT_POWER, LARGEST_WEIGHT = 0.15, 3.0
# Pixels of an image are correlated: it counts as this many independent ones.
OBSERVATIONS = 2
RENDERED_SHARE, RENDERED_VIEWS = 1 / 3, 960
IDD_SHARE = 1 / 3
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
    weights : float K, of the classes; K + M with merged ones.
    images : number of real images that are learned from; rendered ones tell nothing that is
        sure of real streets.
    merged : bool M K, classes that some images do not tell apart (losses.segmentation); a label
        K + m stands for them. None: all images know all classes.
    """

    weights: Tensor
    images: int
    merged: Tensor | None = None

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of ``image`` and ``labels``."""
        # Contiguous: softmax over channels-last planes is five times slower on a CPU.
        out = {key: value.float().contiguous() for key, value in network(batch['image']).items()}
        labels = thinned(batch['labels'], 2)
        weights = self.weights.to(labels.device)
        logits = scaled(out['logits'], labels)
        main = cross_entropy(logits, labels, weights, self.merged)
        row = int(torch.randint(LOVASZ_ROWS, ()))
        rows = slice(row, None, LOVASZ_ROWS)
        lovasz = self._lovasz(logits[:, :, rows], labels[:, rows])
        total = main + LOVASZ_WEIGHT * lovasz
        logged = {'main': main.detach(), 'lovasz': lovasz.detach()}
        if 'log_variance' in out:
            quarter = thinned(batch['labels'], 4)
            coarse, log_variance = out['coarse_logits'], out['log_variance']
            noise = torch.randn(NOISE_PAIRS, *coarse.shape, device=coarse.device)
            total = total + COARSE_WEIGHT * heteroscedastic_cross_entropy(
                coarse, log_variance, quarter, torch.cat([noise, -noise]), weights, self.merged
            )
            logged['log_variance'] = log_variance.detach().mean()
        if 'auxiliary' in out:
            eighth = thinned(batch['labels'], 8)
            auxiliary = scaled(out['auxiliary'], eighth)
            auxiliary = cross_entropy(auxiliary, eighth, weights, self.merged)
            total = total + AUXILIARY_WEIGHT * auxiliary
        if 'mask_entropy' in out:
            total = total - out['mask_entropy'] / (OBSERVATIONS * self.images)
            logged['mask_entropy'] = out['mask_entropy'].detach()
        return total, logged

    def _lovasz(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Lovasz over the classes; with merged ones apart, for a class and its union overlap."""
        if self.merged is None:
            return lovasz_softmax(logits.softmax(1), labels)
        classes = logits.shape[1]
        every = with_merged(F.log_softmax(logits, 1), self.merged).exp()
        fine = labels.where(labels < classes, UNLABELLED)
        coarse = torch.where(labels < classes, UNLABELLED, labels)
        share = (coarse != UNLABELLED).sum() / (labels != UNLABELLED).sum().clamp(min=1)
        return (1 - share) * lovasz_softmax(every, fine) + share * lovasz_softmax(every, coarse)


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
    root: Path, seed: int, rendered_share: float = RENDERED_SHARE, idd_share: float = 0.0
) -> Task:
    """CamVid train (and rendered streets, and IDD) to learn from, val to be evaluated on.

    Parameters
    ----------
    root : folder that holds ``camvid/``, and ``idd_lite/`` where that is learned from.
    rendered_share : of the training images that are rendered; 0: nothing is rendered.
    idd_share : of the training images that are IDD's; its held-out drives are evaluated on then.
    """
    return segmentation_task(
        read_camvid(root / 'camvid', 'train'), {'val': read_camvid(root / 'camvid', 'val')}, seed,
        rendered_share, idd=idd_of(root, idd_share),
    )


@dataclass(frozen=True)
class MergedScenes:
    """Images with merged classes: to learn from, their share of what is drawn, held-out ones."""

    learned: list[Scene]
    share: float
    held_out: list[Scene]


def idd_of(root: Path, share: float) -> MergedScenes | None:
    """Read IDD-Lite, if a share of it is wanted."""
    if not share:
        return None
    folder = root / 'idd_lite'
    return MergedScenes(read_idd(folder, 'fit'), share, read_idd(folder, 'held_out'))


def segmentation_task(
    train: list[Scene], evaluated: dict[str, list[Scene]], seed: int, rendered_share: float,
    samples: int = 0, flip: bool = False, idd: MergedScenes | None = None,
) -> Task:
    """Return the task of learning from some images and being evaluated on sets of others.

    Parameters
    ----------
    samples, flip : of the last evaluation; those on the way are without.
    idd : further images, with merged classes.
    """
    weights = limited_weights(train, len(CLASSES))
    others = [(rendered_scenes(RENDERED_VIEWS), rendered_share)] if rendered_share else []
    merged, images, merged_sets = None, len(train), ()
    if idd is not None:
        merged, images = merged_classes(), images + len(idd.learned)
        others.append((idd.learned, idd.share))
        weights = torch.cat([weights, torch.zeros(len(merged))])
        weights = weights + limited_weights(idd.learned, len(weights))
        evaluated, merged_sets = {**evaluated, 'idd': idd.held_out}, ('idd',)
    return Task(
        SegmentationBatches(train, BATCH_SIZE, seed, None, others),
        SegmentationLoss(weights, images, merged),
        SegmentationEvaluation(evaluated, samples, flip=flip, merged=merged_sets),
        quick_evaluate=SegmentationEvaluation(evaluated, every=QUICK_EVERY, merged=merged_sets),
    )


def limited_weights(scenes: list[Scene], ids: int) -> Tensor:
    """Weights of the ids that occur, mild and limited; 0 of the others."""
    return class_weights(scenes, ids, WEIGHT_POWER).clamp(max=LARGEST_WEIGHT)


# The released model began with the weights of ``segmentation_unseen`` (docs/segmentation.md).
SEGMENTATION = Recipe(
    'segmentation', 'bayesian_context_net', build_camvid, steps=6000, learning_rate=2e-3,
    weight_decay=2e-2,
    data='CamVid train (367 images), a third of the crops from rendered streets',
    data_licence='CC BY-NC 4.0',
)
# For streets unlike CamVid's four drives.
SEGMENTATION_IDD = replace(
    SEGMENTATION, name='segmentation_idd', build=partial(build_camvid, idd_share=IDD_SHARE),
    data='CamVid train (367 images), a third of the crops from rendered streets, a third from '
    'IDD-Lite (1066 images of 247 drives, 7 merged classes)',
    data_licence='CC BY-NC 4.0; IDD: research, non-commercial',
)
PUBLISHED = tuple(
    replace(SEGMENTATION, name=name, network=name, steps=None, minutes=100.0)
    for name in ('segnet', 'bayesian_segnet', 'fcn', 'unet', 'deeplabv3', 'pspnet')
)
SEGMENTATION_RECIPES = (SEGMENTATION, SEGMENTATION_IDD, *PUBLISHED)
