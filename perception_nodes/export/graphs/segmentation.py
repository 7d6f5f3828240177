# SPDX-License-Identifier: Apache-2.0
"""The graph of the released segmentation model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perception_nodes.datasets.camvid import CLASSES, CamVid
from perception_nodes.export.network_input import camera_size, network_size, resize, to_network
from perception_nodes.export.release import Calibration, Release
from perception_nodes.export.temperature import fit_temperature
from perception_nodes.inference.model_card import ANY, TensorSpec
from perception_nodes.networks.bayesian_context_net import BayesianContextNet, flattened, refine
from perception_nodes.training.recipes.segmentation_comparison import COMPARISON_RECIPES

NETWORK_PIXELS = 480 * 384
LARGEST_LOGIT, LEAST_PROBABILITY = 40.0, 1e-12
PALETTE = (
    (70, 130, 200), (110, 80, 70), (190, 190, 130), (120, 70, 130), (230, 60, 210),
    (90, 140, 40), (240, 200, 20), (180, 150, 150), (20, 40, 160), (220, 30, 60), (140, 20, 30),
)


class SegmentationGraph(nn.Module):
    """Image and dropout masks in; labels, confidence, entropy, mutual information out.

    The samples are drawn at a quarter of the network's size, each with the mean over four pixels
    of what the finer features correct, for that settles much of what dropout doubts; the logarithm
    of their mean gets the rest at the half. Of one sample that is what the network's forward
    gives, of several nearly. The softmax is written out: ONNX Runtime's own over the channels
    takes several times as long.

    Parameters
    ----------
    temperature : by which logits are divided, fitted on held-out data.
    network_pixels : largest area the network works at.
    """

    def __init__(
        self, network: BayesianContextNet, temperature: float, network_pixels: int
    ) -> None:
        super().__init__()
        self.network, self.network_pixels = network, network_pixels
        self.temperature = temperature

    def sample_scores(self, image: Tensor, dropout_masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each mask row, T K h/4 w/4, and the rest of their correction, 1 4K h/4 w/4."""
        size = network_size(image, self.network_pixels)
        context, detail, correction = self.network.encode(to_network(image, size))
        shared = correction.unflatten(1, (-1, 4)).mean(2)
        coarse = flattened(*self.network.decode(context, detail, dropout_masks)) + shared
        rest = correction - shared.repeat_interleave(4, 1)
        return coarse / self.temperature, rest / self.temperature

    def forward(self, image: Tensor, dropout_masks: Tensor) -> tuple[Tensor, ...]:
        """Arrays as in the card, in the order of the card."""
        scores, correction = self.sample_scores(image, dropout_masks)
        samples, log_samples = softmax(scores)
        mean = samples.mean(0, keepdim=True)
        log_mean = torch.log(mean.clamp(min=LEAST_PROBABILITY))
        information = mean_entropy(mean, log_mean) - mean_entropy(samples, log_samples)
        fine, log_fine = softmax(refine(log_mean, correction))
        size = camera_size(image)
        full = resize(fine, size)
        return (
            full.argmax(1).to(torch.uint8), full.amax(1),
            resize(mean_entropy(fine, log_fine), size)[:, 0],
            resize(information.clamp(min=0), size)[:, 0], fine,
        )


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and their logarithms B K H W; logits are cut to -40..40 instead of shifted."""
    logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    exponentials = torch.exp(logits)
    total = exponentials.sum(1, keepdim=True)
    return exponentials / total, logits - torch.log(total)


def mean_entropy(probabilities: Tensor, log_probabilities: Tensor) -> Tensor:
    """Entropy over its largest value log K, 0..1, mean over B: B K H W to 1 1 H W."""
    entropy = -(probabilities * log_probabilities).sum(1, keepdim=True)
    return entropy.mean(0, keepdim=True) / math.log(probabilities.shape[1])


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the temperature on CamVid val, without dropout."""
    scores, labels = [], []
    graph = SegmentationGraph(network, 1.0, NETWORK_PIXELS)
    ones = torch.ones(1, network.mask_channels)
    for sample in CamVid(data_root / 'camvid', 'val'):
        coarse, correction = graph.sample_scores(torch.from_numpy(sample.image.data)[None], ones)
        scores.append(refine(coarse, correction).half())
        labels.append(sample.labels)
    temperature = fit_temperature(scores, labels, lambda p, size: resize(p, torch.tensor(size)))
    return {
        'temperature': round(temperature, 4), 'fitted_on': 'CamVid val',
        'dropout_probability': network.dropout,
    }


def build_graph(network: nn.Module, calibration: Mapping[str, Any]) -> nn.Module:
    """Wrap a network of the released kind."""
    return SegmentationGraph(network, calibration['temperature'], NETWORK_PIXELS)


SEGMENTATION = Release(
    name='segmentation', task='segmentation', graph=build_graph, calibrate=calibrate,
    summary='11 classes of road scenes with calibrated confidence and Bayesian uncertainty',
    network_pixels=NETWORK_PIXELS, classes=CLASSES, palette=PALETTE, licence='CC-BY-NC-4.0',
    non_commercial=True,
    evaluated_on=(
        ('camvid', 'camvid', 'val'), ('idd_lite', 'idd_lite', 'held_out'),
        ('kitti_semantic', 'kitti_stereo_2015', None), ('kitti_road', 'kitti_stereo_2015', None),
    ),
    compared_with=tuple(recipe.name for recipe in COMPARISON_RECIPES),
    inputs=(
        TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image'),
        TensorSpec('dropout_masks', 'float32', (ANY, 96), '1',
                   'a row a sample: 0 or 1 / (1 - p) per channel; ones: no dropout'),
    ),
    outputs=(
        TensorSpec('labels', 'uint8', (1, ANY, ANY), 'class id', 'most probable class'),
        TensorSpec('confidence', 'float32', (1, ANY, ANY), '1', 'probability of the label, 0..1'),
        TensorSpec('entropy', 'float32', (1, ANY, ANY), '1',
                   'entropy of the mean over log(classes), 0..1: total uncertainty'),
        TensorSpec('mutual_information', 'float32', (1, ANY, ANY), '1',
                   'its epistemic part over log(classes), 0..1; 0 with one row of masks'),
        TensorSpec('probabilities', 'float32', (1, len(CLASSES), ANY, ANY), '1',
                   'class probabilities at half of the size the network works at'),
    ),
)
