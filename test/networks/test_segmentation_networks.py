# SPDX-License-Identifier: Apache-2.0
"""What is particular to the segmentation networks."""

import math

import pytest
import torch

from perception_nodes.networks.bayesian_context_net import (
    LEAST_LOG_VARIANCE,
    BayesianContextNet,
    flattened,
    refine,
)
from perception_nodes.networks.layers import HalfInstanceNorm
from perception_nodes.networks.segnet import SegNet, monte_carlo

SMALL = ((4, 4), (6,))


def test_light_is_taken_from_half_of_the_channels_of_each_image() -> None:
    torch.manual_seed(0)
    norm, images = HalfInstanceNorm(6), torch.randn(2, 6, 8, 8)
    darker = images.clone()
    darker[1] = 0.3 * darker[1] - 2
    first, second = norm(images), norm(darker)
    torch.testing.assert_close(second[:, :3], first[:, :3], atol=1e-3, rtol=0)
    torch.testing.assert_close(second[:, 3:], darker[:, 3:])
    torch.testing.assert_close(first[:, :3].mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)


def test_ones_are_no_dropout_and_rows_of_masks_are_samples_of_one_image() -> None:
    torch.manual_seed(0)
    network = BayesianContextNet().eval()
    image = torch.randn(1, 3, 64, 96)
    plain = network(image)['logits']
    masks = torch.cat([torch.ones(1, network.mask_channels), network.draw_masks(2, image)])
    sampled = network(image, masks)['logits']
    assert sampled.shape == (3, 11, 32, 48)
    torch.testing.assert_close(sampled[:1], plain)
    assert not torch.allclose(sampled[1], sampled[2])


def test_masks_drop_with_their_probability_and_keep_the_mean() -> None:
    torch.manual_seed(0)
    network = BayesianContextNet(dropout=0.25)
    masks = network.draw_masks(2000, torch.zeros(1))
    torch.testing.assert_close(masks.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs(masks.mean().item() - 1) < 0.01


def test_relaxed_masks_are_nearly_masks_and_let_the_probability_learn() -> None:
    torch.manual_seed(0)
    network = BayesianContextNet(dropout=0.25)
    assert network.dropout == pytest.approx(0.25)
    masks = network.relaxed_masks(2000)
    assert ((masks < 0.5).float().mean() - 0.25).abs() < 0.02
    assert ((masks > 0.1) & (masks < 1.2)).float().mean() < 0.15
    assert (masks.mean() - 1).abs() < 0.02
    masks.square().mean().backward()
    assert network.scaled_logit.grad > 0, 'kept channels grow with the probability'


def test_the_entropy_of_a_row_of_masks_is_that_of_its_coins() -> None:
    network = BayesianContextNet(dropout=0.2)
    by_hand = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert network.mask_entropy().item() == pytest.approx(96 * by_hand, rel=1e-5)
    assert BayesianContextNet(dropout=0.0).mask_entropy().item() == 0


def test_the_log_variance_has_a_soft_floor() -> None:
    network = BayesianContextNet().eval()
    network.head_out.bias.data[-1] = -50.0
    out = network(torch.randn(1, 3, 32, 32))['log_variance']
    torch.testing.assert_close(out, torch.full_like(out, LEAST_LOG_VARIANCE))


def test_each_quarter_of_a_coarse_pixel_is_corrected_by_itself() -> None:
    coarse = torch.tensor([[[[1.0, 2.0]], [[10.0, 20.0]]]])
    correction = torch.zeros(1, 8, 1, 2)
    correction[0, 2, 0, 1] = 0.5  # class 0, lower left quarter, second pixel
    correction[0, 7, 0, 0] = 0.25  # class 1, lower right quarter, first pixel
    fine = refine(coarse, correction)
    assert fine[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2.5, 2]]
    assert fine[0, 1].tolist() == [[10, 10, 20, 20], [10, 10.25, 20, 20]]


def test_flattened_logits_have_nearly_the_mean_softmax_of_noisy_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, variance = 2 * torch.randn(1, 11, 1, 1, generator=generator), torch.ones(1, 1, 1, 1)
    noise = torch.randn(100_000, 11, 1, 1, generator=generator)
    sampled = (logits + noise).softmax(1).mean(0, keepdim=True)
    closed = flattened(logits, variance.log()).softmax(1)
    assert (sampled - closed).abs().max() < 0.02
    assert (sampled - logits.softmax(1)).abs().max() > 0.03


def test_without_aleatoric_the_variance_stays_at_its_floor() -> None:
    network = BayesianContextNet(dropout=0.0, aleatoric=False).eval()
    out = network(torch.randn(1, 3, 32, 32))
    assert (out['log_variance'] == LEAST_LOG_VARIANCE).all()
    assert torch.equal(network.draw_masks(2, out['logits']), torch.ones(2, 96))


def test_segnet_puts_features_back_where_the_maximum_was() -> None:
    network = SegNet(2, groups=((1,),)).eval()
    for group in (network.encoder[0], network.decoder[0]):
        group[0][0].weight.data.zero_()
        group[0][0].weight.data[:, :1, 1, 1] = 1.0
    seen = {}
    network.decoder[0].register_forward_pre_hook(lambda _, args: seen.update(unpooled=args[0]))
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, 1, 0], image[0, 0, 2, 3] = 5.0, 7.0
    network(image)
    unpooled = seen['unpooled'][0, 0]
    assert unpooled[1, 0] > 4 and unpooled[2, 3] > 6
    assert int((unpooled > 1).sum()) == 2


def test_bayesian_segnet_varies_only_where_it_samples() -> None:
    torch.manual_seed(0)
    network = SegNet(3, groups=SMALL, dropout=0.5, dropout_groups=1).eval()
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(network(image)['logits'], network(image)['logits'])
    mean, variance = monte_carlo(network, image, 4)
    torch.testing.assert_close(mean.sum(1), torch.ones(1, 16, 16))
    assert variance.max() > 1e-6
