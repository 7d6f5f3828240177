# SPDX-License-Identifier: Apache-2.0
"""Losses of stereo and mono depth: against numbers worked out by hand."""

import math

import pytest
import torch

from perception_nodes.losses.mono_depth import log_gradient_error, scale_invariant_log_error
from perception_nodes.losses.photometric import (
    SSIM_C1,
    auto_masked_reprojection,
    edge_aware_smoothness,
    photometric_error,
    structural_similarity,
)
from perception_nodes.losses.reprojection import reprojected, transform_from_vector
from perception_nodes.losses.stereo_depth import (
    left_right_consistency,
    level_cross_entropy,
    sample_row,
)


def test_ssim_of_flat_images_compares_their_brightness():
    one, two = torch.full((1, 1, 4, 4), 0.2), torch.full((1, 1, 4, 4), 0.6)
    expected = (2 * 0.12 + SSIM_C1) / (0.04 + 0.36 + SSIM_C1)
    assert torch.allclose(structural_similarity(one, two), torch.tensor(expected), atol=1e-3)
    assert torch.allclose(structural_similarity(two, two), torch.tensor(1.0))


def test_photometric_error_weighs_ssim_and_difference():
    one, two = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 0.6)
    ssim = (2 * 0.12 + SSIM_C1) / (0.4 + SSIM_C1)
    expected = 0.85 * (1 - ssim) / 2 + 0.15 * 0.4
    assert torch.allclose(photometric_error(one, two), torch.tensor(expected), atol=1e-3)
    assert photometric_error(one, one).abs().max().item() < 1e-6


def test_auto_mask_keeps_what_moving_explains_better():
    torch.manual_seed(0)
    seen = torch.rand(1, 3, 6, 12)
    explained, unmoved = seen.clone(), torch.rand(1, 3, 6, 12)
    explained[..., 6:] = torch.rand(1, 3, 6, 6)
    unmoved[..., 6:] = seen[..., 6:]  # the right half travels with the camera
    loss, counted = auto_masked_reprojection(seen, [explained], [unmoved])
    assert counted[..., :5].all() and not counted[..., 7:].any()
    least, _ = auto_masked_reprojection(seen, [explained, seen], [unmoved])
    assert least.item() < 1e-6 < loss.item() + 1e-5
    # Who moves nothing explains nothing, and pays for all of it.
    nothing, none = auto_masked_reprojection(seen, [unmoved], [unmoved])
    assert not none.any()
    assert nothing.item() == pytest.approx(photometric_error(seen, unmoved).mean().item())


def test_smoothness_forgives_steps_at_edges():
    step = torch.tensor([[[[0.0, 0.0, 2.0], [0.0, 0.0, 2.0]]]])
    flat = torch.zeros(1, 3, 2, 3)
    edge = flat.clone()
    edge[..., 2] = 1.0
    assert edge_aware_smoothness(step, flat).item() == pytest.approx(2.0 / 2)
    assert edge_aware_smoothness(step, edge).item() == pytest.approx(math.exp(-1) * 2 / 2)


def test_sample_row_reads_further_left():
    right = torch.arange(6.0).expand(1, 1, 2, 6)
    disparity = torch.full((1, 1, 2, 6), 1.5)
    assert torch.allclose(sample_row(right, disparity)[0, 0, 0], torch.tensor(
        [0.0, 0.0, 0.5, 1.5, 2.5, 3.5]
    ), atol=1e-5)


def test_left_right_consistency_is_zero_for_a_shift_and_counts_a_difference():
    left = torch.full((1, 1, 3, 8), 2.0)
    assert left_right_consistency(left, left.clone()).item() == pytest.approx(0.0, abs=1e-6)
    assert left_right_consistency(left, left + 0.5).item() == pytest.approx(0.5, abs=1e-5)


def test_a_factor_on_all_depths_has_no_gradient_error_and_less_scale_invariant_error():
    truth = torch.rand(1, 1, 8, 8)
    assert log_gradient_error(truth + 0.7, truth).item() == pytest.approx(0.0, abs=1e-6)
    expected = 0.7**2 - 0.5 * 0.7**2
    assert scale_invariant_log_error(truth + 0.7, truth).tolist() == pytest.approx([expected])


def test_unknown_depth_costs_nothing():
    """What the loss of the known part is, however wrong the rest."""
    truth = torch.rand(2, 1, 8, 8)
    error = torch.zeros(2, 1, 8, 8)
    error[:, :, :4] = torch.rand(2, 1, 4, 8)
    weight = torch.zeros(2, 1, 8, 8)
    weight[:, :, :4] = 1
    wild = error + 100 * (1 - weight)
    top = error[:, :, :4], torch.zeros(2, 1, 4, 8)
    assert log_gradient_error(truth + wild, truth, weight, (1,)).item() == pytest.approx(
        log_gradient_error(*top, None, (1,)).item(), rel=1e-4
    )
    found = scale_invariant_log_error(truth + wild, truth, weight)
    assert found.tolist() == pytest.approx(scale_invariant_log_error(*top).tolist(), rel=1e-3)


def test_log_gradient_error_of_a_ramp():
    truth = torch.zeros(1, 1, 8, 8)
    ramp = 0.1 * torch.arange(8.0).expand(1, 1, 8, 8)
    # along x: 0.1 over 1 px and 0.4 over 4 px; along y nothing; mean over the two distances
    assert log_gradient_error(ramp, truth).item() == pytest.approx((0.1 + 0.4) / 2, rel=1e-5)


def test_level_cross_entropy_shares_between_neighbours_and_leaves_out_what_is_outside():
    probability = torch.tensor([0.1, 0.2, 0.3, 0.4])[None, :, None, None].expand(1, 4, 1, 3)
    level = torch.tensor([[[[1.25, 3.0, 9.0]]]])
    first = -(0.75 * math.log(0.2) + 0.25 * math.log(0.3))
    expected = (first - math.log(0.4)) / 2
    loss = level_cross_entropy(probability.log() + 5.0, level)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def camera(focal=10.0, width=12, height=8):
    return torch.tensor([[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]])


def test_a_step_aside_moves_pixels_by_focal_length_times_step_over_depth():
    other = torch.arange(12.0).expand(1, 1, 8, 12)
    step = torch.eye(4)[None].clone()
    step[0, 0, 3] = -0.4  # points move to the left by 10 * 0.4 / 2 = 2 px
    warped, inside = reprojected(other, torch.full((1, 1, 8, 12), 2.0), camera(), step)
    assert torch.allclose(warped[0, 0, 3, 2:], torch.arange(10.0), atol=1e-4)
    assert inside[..., 2:].all() and not inside[..., :2].any()


def test_what_goes_behind_the_camera_is_not_seen():
    back = torch.eye(4)[None].clone()
    back[0, 2, 3] = -3.0
    two = torch.full((1, 1, 8, 12), 2.0)
    _, inside = reprojected(torch.ones(1, 1, 8, 12), two, camera(), back)
    assert not inside.any()


def test_transform_from_vector_turns_about_the_axis():
    vector = torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, math.pi / 2]])
    point = torch.tensor([1.0, 0.0, 0.0, 1.0])
    moved = transform_from_vector(vector)[0] @ point
    assert torch.allclose(moved, torch.tensor([1.0, 3.0, 3.0, 1.0]), atol=1e-6)
    still = transform_from_vector(torch.zeros(1, 6))[0]
    assert torch.allclose(still, torch.eye(4), atol=1e-6)
