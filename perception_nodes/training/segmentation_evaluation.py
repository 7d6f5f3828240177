# SPDX-License-Identifier: Apache-2.0
"""How good a segmentation network is and how well it knows: the same figures for each network."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.datasets.idd_lite import CLASSES as MERGED_CLASSES
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.training.merged_scenes import merged_classes
from perception_nodes.training.segmentation_batches import Scene, normalise
from perception_nodes.types import UNLABELLED


class SegmentationEvaluation:
    """IoU, calibration and uncertainty on whole images, made multiples of 32 in size.

    Parameters
    ----------
    sets : images by the name of their set, whose metrics begin with it (``val_miou``). Images
        without any label yield only the uncertainties.
    samples : dropout samples T, of a network that has ``sampled_logits``; 0: one pass without
        dropout, and no epistemic part.
    every : looks at every n-th image only.
    flip : evaluates the average with the flipped image too, as ``val_flipped_miou``.
    merged : names of the sets whose labels are IDD's merged classes (merged_scenes).
    """

    def __init__(
        self, sets: Mapping[str, Sequence[Scene]], samples: int = 0, every: int = 1,
        flip: bool = False, merged: Collection[str] = (),
    ) -> None:
        self.sets = {name: scenes[::every] for name, scenes in sets.items()}
        self.samples, self.flip, self.merged = samples, flip, merged

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode.

        Returns
        -------
        Of every set: the values of SegmentationMetric, by largest probability and entropy;
        aleatoric, the mean over all pixels of the samples' entropy over log K; of two samples or
        more, epistemic, of the mutual information over log K, and logit_variance, of the variance
        of the logits over the samples (the epistemic part as Kendall & Gal 2017 measure it).
        """
        result: dict[str, float] = {}
        for name, scenes in self.sets.items():
            torch.manual_seed(0)
            merged = merged_classes() if name in self.merged else None
            plain, flipped = _Tally(merged), _Tally(merged)
            for scene in scenes:
                draws = sampled_logits(network, scene, self.samples)
                samples = probabilities(draws, scene)
                plain.add(scene, samples, draws)
                if self.flip:
                    other = replace(scene, image=np.ascontiguousarray(scene.image[:, ::-1]))
                    more = probabilities(sampled_logits(network, other, self.samples), other)
                    flipped.add(scene, (samples + torch.flip(more, (3,))) / 2, draws)
            result |= {f'{name}_{key}': value for key, value in plain.compute().items()}
            if self.flip:
                found = flipped.compute()
                result |= {f'{name}_flipped_{key}': value for key, value in found.items()}
        return result


class _Tally:
    """What is evaluated of one set, image by image.

    Parameters
    ----------
    merged : bool M K, which classes each of a set's merged classes takes in; None: it has our own.
    """

    def __init__(self, merged: Tensor | None = None) -> None:
        self.merged = merged
        self.metric = SegmentationMetric(CLASSES if merged is None else MERGED_CLASSES)
        self.parts: dict[str, list[float]] = {'aleatoric': []}

    def add(self, scene: Scene, samples: Tensor, draws: Tensor) -> None:
        """Count an image: its probabilities T K H W and logits T K h w."""
        labels = scene.labels
        if self.merged is not None:
            samples = torch.stack([samples[:, parts].sum(1) for parts in self.merged], 1)
            labels = np.where(labels == UNLABELLED, labels, labels - len(CLASSES))
        mean = samples.mean(0, keepdim=True)
        total, expected = entropy(mean), entropy(samples).mean(0)
        found = {'aleatoric': expected.mean()}
        if len(samples) > 1:
            found['epistemic'] = (total - expected).mean()
            found['logit_variance'] = draws.var(0, correction=0).mean()
        for key, value in found.items():
            self.parts.setdefault(key, []).append(float(value))
        truth = torch.from_numpy(labels)
        known = truth != UNLABELLED
        if known.any():
            chosen = mean[0].gather(0, truth.where(known, 0)[None].long())[0]
            self.metric.update(
                mean.argmax(1)[0].byte().numpy(), labels,
                confidence=mean.amax(1)[0].numpy(), uncertainty=total[0].numpy(),
                truth_probability=chosen.numpy(),
            )

    def compute(self) -> dict[str, float]:
        """Metrics of what was counted; those that are not known are left out."""
        metrics = self.metric.compute()
        means = {key: sum(part) / max(len(part), 1) for key, part in self.parts.items()}
        return {k: v for k, v in metrics.items() if math.isfinite(v)} | means


def sampled_logits(network: nn.Module, scene: Scene, samples: int) -> Tensor:
    """Logits float T K h w as the network returns them, on the CPU; T = 1 for 0 samples."""
    device = next(network.parameters()).device
    image = normalise(scene.image[None]).to(device, memory_format=torch.channels_last)
    size = [32 * max(1, round(side / 32)) for side in scene.labels.shape]
    image = F.interpolate(image, size=size, mode='bilinear')
    draws = network.sampled_logits(image, samples) if samples else network(image)['logits']
    return draws.float().cpu().contiguous()


def probabilities(draws: Tensor, scene: Scene) -> Tensor:
    """Class probabilities float T K H W of the image's size, of logits T K h w."""
    return F.interpolate(F.softmax(draws, 1), size=scene.labels.shape, mode='bilinear')


def entropy(samples: Tensor) -> Tensor:
    """Entropy over log K, 0..1: B K H W to B H W."""
    logarithms = torch.log(samples.clamp(min=1e-12))
    return -(samples * logarithms).sum(1) / math.log(samples.shape[1])
