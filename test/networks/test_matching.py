# SPDX-License-Identifier: Apache-2.0
"""Correlation, warping and upsampling: small tensors with known answers."""

import torch
from torch.nn import functional as F

from perception_nodes.networks.correlation_stereo import CorrelationStereo, soft_argmin
from perception_nodes.networks.matching import (
    convex_upsample,
    local_correlation,
    luminance_and_contrast,
    row_correlation,
    unit,
    warp,
    window_statistics,
)
from perception_nodes.networks.pyramid_flow import FlowLevel, window_mean


def test_gain_and_offset_do_not_change_contrast():
    torch.manual_seed(0)
    image = 0.2 + 0.5 * torch.rand(1, 3, 24, 32)
    one, two = luminance_and_contrast(image), luminance_and_contrast(0.7 * image + 0.2)
    assert (one[:, 1] - two[:, 1]).abs().mean() < 0.02
    assert (one[:, 0] - two[:, 0]).abs().mean() > 0.05


def test_statistics_of_a_window_are_exact_where_hardly_anything_varies():
    torch.manual_seed(0)
    sky = (0.9 + 1e-4 * torch.rand(1, 1, 12, 14)).float()
    mean, variance = window_statistics(sky)
    windows = F.unfold(sky.double(), 9).reshape(81, 4, 6)
    torch.testing.assert_close(mean[0, 0].double(), windows.mean(0), rtol=1e-6, atol=0)
    expected = windows.var(0, correction=0)
    torch.testing.assert_close(variance[0, 0].double(), expected, rtol=5e-3, atol=0)


def test_row_correlation_finds_the_shift_and_is_zero_outside():
    torch.manual_seed(0)
    right = unit(torch.randn(2, 16, 3, 20))
    left = torch.roll(right, 4, 3)
    volume = row_correlation(left, right, 8)
    assert volume.shape == (2, 8, 3, 20)
    assert (volume[..., 4:].argmax(1) == 4).all()
    assert torch.allclose(volume[:, 4, :, 4:], torch.tensor(1.0), atol=1e-3)
    for level in range(8):
        assert (volume[:, level, :, :level] == 0).all()
    direct = (left[..., 7:] * right[..., 4:-3]).sum(1)
    assert torch.allclose(volume[:, 3, :, 7:], direct, atol=1e-5)


def test_local_correlation_finds_the_shift_rows_first():
    torch.manual_seed(0)
    other = unit(torch.randn(1, 16, 10, 12))
    features = torch.roll(other, (1, -2), (2, 3))  # features[y, x] = other[y - 1, x + 2]
    best = local_correlation(features, other, 2)[0, :, 3:-3, 3:-3].argmax(0)
    assert (best == (2 - 1) * 5 + (2 + 2)).all()


def test_warp_samples_where_the_point_came_from():
    older = torch.arange(12.0).reshape(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0], flow[:, 1] = 1.0, -1.0  # came from (x - 1, y + 1)
    moved = warp(older, flow)[0, 0]
    assert torch.allclose(moved[:2, 1:], older[0, 0, 1:, :3], atol=1e-4)
    assert torch.allclose(moved[2], torch.zeros(4), atol=1e-4)
    half = torch.zeros(1, 2, 3, 4)
    half[:, 0] = 0.5
    assert torch.allclose(warp(older, half)[0, 0, 0, 1:], torch.tensor([0.5, 1.5, 2.5]), atol=1e-4)


def test_convex_upsample_of_one_hot_weights_copies_the_chosen_neighbour():
    values = torch.arange(6.0).reshape(1, 1, 2, 3)
    weights = torch.zeros(1, 9, 4, 2, 3)
    weights[:, 4] = 50.0  # the pixel itself
    weights[:, 4, 1] = 0.0
    weights[:, 5, 1] = 50.0  # fine pixel (0, 1) of each cell takes the right neighbour
    fine = convex_upsample(values, weights.reshape(1, 36, 2, 3), 2)
    assert fine.shape == (1, 1, 4, 6)
    assert fine[0, 0, 0].round(decimals=5).tolist() == [0, 1, 1, 2, 2, 2]
    assert fine[0, 0, 1].round(decimals=5).tolist() == [0, 0, 1, 1, 2, 2]


def test_soft_argmin_is_the_mean_level_and_its_deviation():
    scores = torch.full((1, 5, 1, 1), -100.0)
    scores[0, 1], scores[0, 3] = 0.0, 0.0
    mean, spread = soft_argmin(scores)
    assert abs(mean.item() - 2.0) < 1e-5 and abs(spread.item() - 1.0) < 1e-3
    assert soft_argmin(scores.bfloat16())[0].dtype == torch.float32


def test_the_correlation_of_an_untrained_encoder_matches_already():
    torch.manual_seed(0)
    network = CorrelationStereo().eval()
    picture = torch.rand(1, 3, 64, 192)
    left, right = picture[..., :160], picture[..., 16:176]
    with torch.inference_mode():
        own, other = network.encoder(torch.cat([left, right]))[0].chunk(2)
        volume = row_correlation(unit(own), unit(other), network.levels)
    best = volume[0, :, 4:-4, 10:-4].argmax(0)
    assert (best == 4).float().mean() > 0.9  # 16 px at 1/4


def test_with_a_reach_the_mean_stays_on_the_likelier_surface():
    scores = torch.full((1, 12, 1, 1), -100.0)
    scores[0, 2], scores[0, 9], scores[0, 10] = 0.0, 1.0, 1.0
    assert soft_argmin(scores)[0].item() < 9
    mean, spread = soft_argmin(scores, reach=2)
    assert abs(mean.item() - 9.5) < 1e-4 and spread.item() > 2


def test_window_mean_is_the_mean_place_x_first():
    scores = torch.full((1, 25, 1, 1), -100.0)
    scores[0, 3 * 5 + 4], scores[0, 3 * 5 + 2] = 0.0, 0.0  # y = +1; x = +2 and 0
    mean, spread = window_mean(scores, 2)
    assert torch.allclose(mean.flatten(), torch.tensor([1.0, 1.0]), atol=1e-5)
    assert abs(spread.item() - 0.5**0.5) < 1e-3  # 1 along x, 0 along y


def test_a_flow_level_adds_where_the_window_matches():
    """The newest image is the older one 2 px further right: flow +2 on every level's grid."""
    torch.manual_seed(0)
    level = FlowLevel(16, 0, 24, 3).eval()
    with torch.no_grad():
        level.sharpness.fill_(4.0)
        older = torch.randn(1, 16, 12, 24)
        state, _, scores = level(older.roll(2, 3), older, torch.zeros(1, 3, 12, 24), None)
    inner = state[0, :, 3:-3, 5:-5]
    assert (inner[0] - 2).abs().max() < 0.1 and inner[1].abs().max() < 0.1
    assert scores.shape == (1, 49, 12, 24)
