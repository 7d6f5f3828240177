# SPDX-License-Identifier: Apache-2.0
"""Losses of segmentation against numbers worked out by hand."""

import math

import pytest
import torch

from perception_nodes.losses.segmentation import (
    cross_entropy,
    focal_loss,
    heteroscedastic_cross_entropy,
    lovasz_gradient,
    lovasz_softmax,
    median_frequency_weights,
)

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)


def logits_of(*pixels: tuple[float, ...]) -> torch.Tensor:
    """One row of pixels from their probabilities: 1 K 1 W."""
    return torch.tensor(pixels).log().T[None, :, None]


def labels_of(*labels: int) -> torch.Tensor:
    """One row of labels: 1 1 W."""
    return torch.tensor(labels)[None, None]


def test_cross_entropy_is_the_weighted_mean_and_leaves_out_void() -> None:
    logits = logits_of((0.5, 0.5), (0.25, 0.75), (0.1, 0.9))
    labels = labels_of(0, 0, 255)
    assert cross_entropy(logits, labels).item() == pytest.approx((LN2 + LN4) / 2)
    weighted = cross_entropy(
        logits_of((0.5, 0.5), (0.75, 0.25)), labels_of(0, 1), torch.tensor([1.0, 3.0])
    )
    assert weighted.item() == pytest.approx((LN2 + 3 * LN4) / 4)


def test_median_frequency_weights_of_three_classes() -> None:
    # Frequencies 60/100, 10/50, 5/100; median 0.2. The fourth class never occurs.
    weights = median_frequency_weights(
        torch.tensor([60.0, 10, 5, 0]), torch.tensor([100.0, 50, 100, 0])
    )
    assert weights.tolist() == pytest.approx([1 / 3, 1, 4, 0])


def test_median_frequency_weights_to_the_power_of_a_half() -> None:
    weights = median_frequency_weights(
        torch.tensor([4.0, 1, 16]), torch.tensor([16.0, 16, 16]), power=0.5
    )
    assert weights.tolist() == pytest.approx([1, 2, 0.5])


def test_heteroscedastic_cross_entropy_averages_probabilities_not_losses() -> None:
    # sigma 1, noise +-ln 3 on class 0: its probability is 3/4 in one sample and 1/4 in the other.
    noise = torch.zeros(2, 1, 2, 1, 1)
    noise[0, 0, 0], noise[1, 0, 0] = LN3, -LN3
    loss = heteroscedastic_cross_entropy(
        torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1, 1), labels_of(0), noise
    )
    assert loss.item() == pytest.approx(-math.log((0.75 + 0.25) / 2))


def test_heteroscedastic_noise_has_the_predicted_sigma() -> None:
    # log variance 2 ln 2 is sigma 2: noise ln(3)/2 becomes ln 3.
    noise = torch.tensor([LN3 / 2, 0.0]).view(1, 1, 2, 1, 1)
    loss = heteroscedastic_cross_entropy(
        torch.zeros(1, 2, 1, 1), torch.full((1, 1, 1, 1), 2 * LN2), labels_of(0), noise
    )
    assert loss.item() == pytest.approx(-math.log(0.75))


def test_a_wrong_label_costs_less_with_a_large_variance() -> None:
    logits, labels = torch.tensor([4.0, -4.0]).view(1, 2, 1, 1), labels_of(1)
    noise = torch.randn(64, 1, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    sure, unsure = (
        heteroscedastic_cross_entropy(logits, torch.full((1, 1, 1, 1), v), labels, noise)
        for v in (-8.0, 3.0)
    )
    assert unsure < sure - 1


def test_focal_loss_damps_what_is_easy() -> None:
    logits = logits_of((0.75, 0.25), (0.5, 0.5), (0.9, 0.1))
    labels = labels_of(0, 1, 255)
    by_hand = ((0.25**2) * (-math.log(0.75)) + (0.5**2) * LN2) / 2
    assert focal_loss(logits, labels, 2.0).item() == pytest.approx(by_hand)
    assert focal_loss(logits, labels, 0.0).item() == pytest.approx(
        cross_entropy(logits, labels).item()
    )


def test_lovasz_gradient_of_a_small_case() -> None:
    # Worst first: foreground, background, foreground. Jaccard losses 1/2, 2/3, 1.
    gradient = lovasz_gradient(torch.tensor([[1.0, 0.0, 1.0]]))
    assert gradient[0].tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 3])


def test_lovasz_of_hard_predictions_is_one_minus_mean_iou() -> None:
    # Truth 0 0 1 1, predicted 0 1 1 1: IoU 1/2 and 2/3. The void pixel would make it worse.
    predicted = torch.tensor([0, 1, 1, 1, 1])
    probabilities = torch.nn.functional.one_hot(predicted, 2).T[None, :, None].float()
    loss = lovasz_softmax(probabilities, labels_of(0, 0, 1, 1, 255))
    assert loss.item() == pytest.approx(1 - (1 / 2 + 2 / 3) / 2)


def test_lovasz_descends_along_its_gradient() -> None:
    # One pixel of class 0 (p 0.6) and one of class 1 (p 0.8): both classes have the errors 0.4 and
    # 0.2 in this order; sorted, the slopes are 1/2, 1/2 for the one and 1, 0 for the other.
    probabilities = torch.tensor([[0.6, 0.2], [0.4, 0.8]])[None, :, None].requires_grad_()
    loss = lovasz_softmax(probabilities, labels_of(0, 1))
    by_hand = ((0.4 * 1 + 0.2 * 0) + (0.4 * 0.5 + 0.2 * 0.5)) / 2
    assert loss.item() == pytest.approx(by_hand)
    loss.backward()
    expected = torch.tensor([[-0.5, 0.0], [0.25, -0.25]])
    torch.testing.assert_close(probabilities.grad[0, :, 0], expected)


def test_a_merged_class_has_the_sum_of_its_parts_probabilities():
    """Label 3 is class 0 or 1: any division of the same sum between them costs the same."""
    merged = torch.tensor([[True, True, False]])
    labels = torch.tensor([[[3, 2, 255]]])
    planes = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.1, 0.1, 0.8]]).T[None, :, None]
    expected = -(math.log(0.5) + math.log(0.3)) / 2
    found = cross_entropy(planes.log(), labels, None, merged)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    noise = torch.zeros(2, 1, 3, 1, 3)
    log_variance = torch.zeros(1, 1, 1, 3)
    same = heteroscedastic_cross_entropy(planes.log(), log_variance, labels, noise, None, merged)
    assert same.item() == pytest.approx(expected, rel=1e-5)
    with_weight = cross_entropy(planes.log(), labels, torch.tensor([1, 1, 1, 3.0]), merged)
    assert with_weight.item() == pytest.approx(-(3 * math.log(0.5) + math.log(0.3)) / 4, rel=1e-5)
    assert cross_entropy(planes.log(), labels.clamp(max=2), None, merged).item() == pytest.approx(
        cross_entropy(planes.log(), labels.clamp(max=2)).item()
    )
