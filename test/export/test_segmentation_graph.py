# SPDX-License-Identifier: Apache-2.0
"""The segmentation graph: probabilities, their entropy, what dropout adds, calibration."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from perception_nodes.export.graphs.segmentation import (
    PALETTE,
    SEGMENTATION,
    SegmentationGraph,
    normalised_entropy,
)
from perception_nodes.export.temperature import fit_temperature
from perception_nodes.networks.street_segmentation import StreetSegmentation


@pytest.fixture(scope='module')
def network() -> StreetSegmentation:
    """An untrained network whose classes differ."""
    torch.manual_seed(0)
    network = StreetSegmentation().eval()
    network.head_out.weight.data *= 20
    return network


@pytest.fixture(scope='module')
def image() -> torch.Tensor:
    """A picture of odd size."""
    return torch.randint(0, 256, (1, 75, 101, 3), dtype=torch.uint8)


def test_maps_have_the_size_of_the_picture_and_fit_the_card(network, image) -> None:
    ones = torch.ones(1, network.mask_channels)
    out = SegmentationGraph(network, 1.0, 64 * 96)(image, ones)
    for array, spec in zip(out, SEGMENTATION.outputs, strict=True):
        assert str(array.dtype) == f'torch.{spec.dtype}', spec.name
    labels, confidence, entropy, information, probabilities = out
    assert labels.shape == confidence.shape == entropy.shape == information.shape == (1, 75, 101)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 16, 16))
    assert information.max() < 1e-6, 'one row of masks knows nothing of the model'
    assert SEGMENTATION.inputs[1].shape[1] == network.mask_channels
    assert len(PALETTE) == len(set(PALETTE)) == 11


def test_labels_and_confidence_are_the_largest_probability(network, image) -> None:
    ones = torch.ones(1, network.mask_channels)
    labels, confidence, _, _, probabilities = SegmentationGraph(network, 1.0, 64 * 96)(image, ones)
    full = F.interpolate(probabilities, size=(75, 101), mode='bilinear')
    torch.testing.assert_close(confidence, full.amax(1))
    assert torch.equal(labels.long(), full.argmax(1))


def test_mutual_information_is_entropy_of_the_mean_less_mean_of_entropies(network, image) -> None:
    torch.manual_seed(1)
    masks = 2 * (torch.rand(4, network.mask_channels) > 0.5).float()
    graph = SegmentationGraph(network, 1.0, 64 * 96)
    samples = graph.sample_probabilities(image, masks)
    _, _, entropy, information, mean = graph(image, masks)
    torch.testing.assert_close(mean, samples.mean(0, keepdim=True))
    assert information.mean() > 0.001
    assert (information <= entropy + 1e-6).all()
    size = (75, 101)
    by_hand = normalised_entropy(mean) - normalised_entropy(samples).mean(0, keepdim=True)
    by_hand = F.interpolate(by_hand, size=size, mode='bilinear')[:, 0]
    torch.testing.assert_close(information, by_hand, atol=1e-5, rtol=0)


def test_entropy_of_certainty_and_of_ignorance() -> None:
    sure, unsure = torch.zeros(1, 4, 1, 1), torch.full((1, 4, 1, 1), 0.25)
    sure[0, 2] = 1
    assert normalised_entropy(sure).item() == 0
    assert normalised_entropy(unsure).item() == pytest.approx(1)
    half = torch.tensor([0.5, 0.5, 0, 0]).view(1, 4, 1, 1)
    assert normalised_entropy(half).item() == pytest.approx(0.5)


def test_predicted_variance_and_temperature_flatten(network, image) -> None:
    ones = torch.ones(1, network.mask_channels)

    def confidence(temperature: float) -> float:
        return SegmentationGraph(network, temperature, 64 * 96)(image, ones)[1].mean().item()

    plain = confidence(1.0)
    assert confidence(3.0) < plain
    bias = network.head_out.bias.data
    before = bias[-1].item()
    bias[-1] = 4.0
    assert confidence(1.0) < plain
    bias[-1] = before


def test_the_closed_mean_is_near_the_sampled_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, variance = 2 * torch.randn(11, generator=generator), 1.0
    noise = torch.randn(100_000, 11, generator=generator) * math.sqrt(variance)
    sampled = F.softmax(logits + noise, 1).mean(0)
    closed = F.softmax(logits / math.sqrt(1 + math.pi / 8 * variance), 0)
    assert (sampled - closed).abs().max() < 0.02
    assert (sampled - F.softmax(logits, 0)).abs().max() > 0.03


def test_temperature_is_found_again() -> None:
    rng = np.random.default_rng(0)
    scores, labels = [], []
    for _ in range(3):
        score = torch.from_numpy(rng.normal(0, 2, (1, 4, 60, 60)).astype(np.float32))
        probabilities = F.softmax(score, 1)[0].numpy()
        drawn = (probabilities.cumsum(0) < rng.random((60, 60))).sum(0).clip(0, 3)
        drawn[:5] = 255
        scores.append(score * 2.5)
        labels.append(drawn.astype(np.uint8))

    def same(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return planes

    assert fit_temperature(scores, labels, same) == pytest.approx(2.5, rel=0.08)
