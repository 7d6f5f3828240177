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
from perception_nodes.networks.street_segmentation import StreetSegmentation

NETWORK_PIXELS = 480 * 384
PALETTE = (
    (70, 130, 200), (110, 80, 70), (190, 190, 130), (120, 70, 130), (230, 60, 210),
    (90, 140, 40), (240, 200, 20), (180, 150, 150), (20, 40, 160), (220, 30, 60), (140, 20, 30),
)


class SegmentationGraph(nn.Module):
    """Image and dropout masks in; labels, confidence, entropy, mutual information out.

    Logits with Gaussian noise have no closed mean of their softmax; it is taken at
    ``logits / sqrt(1 + pi s^2 / 8)`` (MacKay 1992), so that nothing is drawn in the graph.

    Parameters
    ----------
    temperature : by which logits are divided, fitted on held-out data.
    network_pixels : largest area the network works at.
    """

    def __init__(
        self, network: StreetSegmentation, temperature: float, network_pixels: int
    ) -> None:
        super().__init__()
        self.network, self.network_pixels = network, network_pixels
        self.temperature = temperature

    def sample_probabilities(self, image: Tensor, dropout_masks: Tensor) -> Tensor:
        """Class probabilities of each mask row, T K h w."""
        size = network_size(image, self.network_pixels)
        context, detail = self.network.encode(to_network(image, size))
        logits, log_variance = self.network.decode(context, detail, dropout_masks)
        spread = torch.sqrt(1 + torch.exp(log_variance) * (math.pi / 8))
        return torch.softmax(logits / (spread * self.temperature), 1)

    def forward(self, image: Tensor, dropout_masks: Tensor) -> tuple[Tensor, ...]:
        """Arrays as in the card, in the order of the card."""
        samples = self.sample_probabilities(image, dropout_masks)
        mean = samples.mean(0, keepdim=True)
        entropy = normalised_entropy(mean)
        information = (entropy - normalised_entropy(samples).mean(0, keepdim=True)).clamp(min=0)
        size = camera_size(image)
        full = resize(mean, size)
        maps = resize(torch.cat([entropy, information], 1), size)
        return (
            full.argmax(1).to(torch.uint8), full.amax(1), maps[:, 0], maps[:, 1], mean,
        )


def normalised_entropy(probabilities: Tensor) -> Tensor:
    """Entropy over its largest value log K, 0..1: B K H W to B 1 H W."""
    terms = probabilities * torch.log(probabilities.clamp(min=1e-12))
    return -terms.sum(1, keepdim=True) / math.log(probabilities.shape[1])


def calibrate(network: nn.Module, data_root: Path) -> Calibration:
    """Fit the temperature on CamVid val, without dropout."""
    scores, labels = [], []
    graph = SegmentationGraph(network, 1.0, NETWORK_PIXELS)
    ones = torch.ones(1, network.mask_channels)
    for sample in CamVid(data_root / 'camvid', 'val'):
        image = torch.from_numpy(sample.image.data)[None]
        scores.append(torch.log(graph.sample_probabilities(image, ones)).half())
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
    non_commercial=True, judged_on=(('camvid', 'camvid', 'val'),),
    inputs=(
        TensorSpec('image', 'uint8', (1, ANY, ANY, 3), '1', 'RGB picture'),
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
                   'class probabilities at a quarter of the size the network works at'),
    ),
)
