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
    mean_entropy,
    softmax,
)
from perception_nodes.export.temperature import fit_temperature
from perception_nodes.networks.bayesian_context_net import BayesianContextNet, refine


@pytest.fixture(scope='module')
def network() -> BayesianContextNet:
    """An untrained network whose classes differ."""
    torch.manual_seed(0)
    network = BayesianContextNet().eval()
    network.head_out.weight.data *= 20
    return network


@pytest.fixture(scope='module')
def image() -> torch.Tensor:
    """An image of odd size."""
    return torch.randint(0, 256, (1, 75, 101, 3), dtype=torch.uint8)


def test_maps_have_the_size_of_the_image_and_fit_the_card(network, image) -> None:
    ones = torch.ones(1, network.mask_channels)
    out = SegmentationGraph(network, 1.0, 64 * 96)(image, ones)
    for array, spec in zip(out, SEGMENTATION.outputs, strict=True):
        assert str(array.dtype) == f'torch.{spec.dtype}', spec.name
    labels, confidence, entropy, information, probabilities = out
    assert labels.shape == confidence.shape == entropy.shape == information.shape == (1, 75, 101)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 32, 32))
    assert information.max() < 1e-6, 'one row of masks knows nothing of the model'
    assert SEGMENTATION.inputs[1].shape[1] == network.mask_channels
    assert len(PALETTE) == len(set(PALETTE)) == 11


def test_labels_and_confidence_are_the_largest_probability(network, image) -> None:
    ones = torch.ones(1, network.mask_channels)
    labels, confidence, _, _, probabilities = SegmentationGraph(network, 1.0, 64 * 96)(image, ones)
    full = F.interpolate(probabilities, size=(75, 101), mode='bilinear')
    torch.testing.assert_close(confidence, full.amax(1))
    assert torch.equal(labels.long(), full.argmax(1))


def test_one_sample_gives_what_the_network_gives(network, image) -> None:
    masks = network.draw_masks(1, torch.zeros(1))
    probabilities = SegmentationGraph(network, 1.0, 64 * 96)(image, masks)[-1]
    picture = image.float().permute(0, 3, 1, 2) / (255 * 0.25) - 0.45 / 0.25
    picture = F.interpolate(picture, size=(64, 64), mode='bilinear')
    torch.testing.assert_close(
        probabilities, F.softmax(network(picture, masks)['logits'], 1), atol=1e-5, rtol=1e-4
    )


def test_mutual_information_is_entropy_of_the_mean_less_mean_of_entropies(network, image) -> None:
    torch.manual_seed(1)
    masks = 2 * (torch.rand(4, network.mask_channels) > 0.5).float()
    graph = SegmentationGraph(network, 1.0, 64 * 96)
    scores, correction = graph.sample_scores(image, masks)
    samples = F.softmax(scores, 1)
    mean = samples.mean(0, keepdim=True)
    _, _, entropy, information, fine = graph(image, masks)
    torch.testing.assert_close(fine, F.softmax(refine(torch.log(mean), correction), 1))
    assert information.mean() > 0.001
    by_hand = -(mean * mean.log()).sum(1) + (samples * samples.log()).sum(1).mean(0, keepdim=True)
    by_hand = F.interpolate(by_hand[None] / math.log(11), size=(75, 101), mode='bilinear')[:, 0]
    torch.testing.assert_close(information, by_hand, atol=1e-5, rtol=0)
    by_hand = -(fine * fine.log()).sum(1, keepdim=True) / math.log(11)
    by_hand = F.interpolate(by_hand, size=(75, 101), mode='bilinear')[:, 0]
    torch.testing.assert_close(entropy, by_hand, atol=1e-5, rtol=0)


def test_what_the_finer_features_settle_is_not_doubted(image) -> None:
    """Every pixel is corrected to one class: samples that differ below it agree after all."""
    torch.manual_seed(0)
    network = BayesianContextNet().eval()
    network.head_out.weight.data *= 20
    masks = 2 * (torch.rand(8, network.mask_channels) > 0.5).float()
    graph = SegmentationGraph(network, 1.0, 64 * 96)
    doubted = graph(image, masks)[3].mean()
    bias = network.refine_out.bias.data.view(11, 4)
    bias[3] += 60
    assert graph(image, masks)[3].mean() < 0.01 * doubted


def test_entropy_of_certainty_and_of_ignorance() -> None:
    sure, unsure = torch.full((1, 4, 1, 1), -40.0), torch.zeros(1, 4, 1, 1)
    sure[0, 2] = 40
    half = torch.tensor([0.0, 0.0, -40, -40]).view(1, 4, 1, 1)
    for logits, wanted in ((sure, 0), (unsure, 1), (half, 0.5)):
        assert mean_entropy(*softmax(logits)).item() == pytest.approx(wanted, abs=1e-6)
    assert mean_entropy(*softmax(torch.cat([sure, unsure]))).item() == pytest.approx(0.5)


def test_the_softmax_is_one_also_of_logits_that_would_overflow() -> None:
    probabilities, logarithms = softmax(torch.tensor([1e4, 1.0, -1e4]).view(1, 3, 1, 1))
    assert probabilities.flatten().tolist() == pytest.approx([1, 0, 0], abs=1e-6)
    assert torch.isfinite(logarithms).all()


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


def drawn_images(spread: float) -> tuple[list[torch.Tensor], list[np.ndarray]]:
    """Logits 1 4 60 60, labels that are drawn from their softmax; the top is not labelled."""
    rng = np.random.default_rng(0)
    scores, labels = [], []
    for _ in range(20):
        score = torch.from_numpy(rng.normal(0, spread, (1, 4, 60, 60)).astype(np.float32))
        probabilities = F.softmax(score, 1)[0].numpy()
        drawn = (probabilities.cumsum(0) < rng.random((60, 60))).sum(0).clip(0, 3)
        drawn[:5] = 255
        scores.append(score)
        labels.append(drawn.astype(np.uint8))
    return scores, labels


def as_it_is(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return planes


def test_temperature_is_found_again() -> None:
    scores, labels = drawn_images(2)
    found = fit_temperature([score * 2.5 for score in scores], labels, as_it_is)
    assert found == pytest.approx(2.5, rel=0.05)


def test_a_few_that_are_surely_wrong_do_not_flatten_the_rest() -> None:
    """Two labels of a hundred are anything: the likelihood would have 1.39 of the sure rest."""
    scores, labels = drawn_images(6)
    rng = np.random.default_rng(1)
    for truth in labels:
        wrong = (rng.random(truth.shape) < 0.02) & (truth != 255)
        truth[wrong] = rng.integers(0, 4, int(wrong.sum()))
    assert fit_temperature(scores, labels, as_it_is) == pytest.approx(1.0, abs=0.1)
