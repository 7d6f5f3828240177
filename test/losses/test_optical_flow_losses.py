# SPDX-License-Identifier: Apache-2.0
"""Losses of flow: against numbers worked out by hand."""

import pytest
import torch

from perception_nodes.losses.optical_flow import (
    census,
    census_distance,
    end_point_error,
    forward_backward_occlusion,
    multi_scale_end_point_error,
    window_cross_entropy,
)


def vectors(*pairs):
    """B=1 2 1 N of (x, y) pairs."""
    return torch.tensor(pairs, dtype=torch.float32).T[None, :, None]


def test_end_point_error_is_the_length_of_the_difference():
    flow, truth = vectors((3, 4), (1, 1)), vectors((0, 0), (1, 2))
    assert end_point_error(flow, truth).item() == pytest.approx(3.0)
    only_second = torch.tensor([[[[0.0, 1.0]]]])
    assert end_point_error(flow, truth, only_second).item() == pytest.approx(1.0)


def test_multi_scale_reads_the_truth_at_the_centres_of_coarse_cells():
    truth = torch.zeros(1, 2, 4, 4)
    truth[0, 0, 2, 2] = 5.0  # the centre of the one cell of 4x4, and of a cell of 2x2 ...
    truth[0, 0, 1, 1] = 9.0  # ... the centre of another one of 2x2
    coarse, fine = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 2, 2)
    # 4x4: centre (2, 2) -> 5; 2x2: centres (1, 1), (1, 3), (3, 1), (3, 3) -> 9 / 4
    loss = multi_scale_end_point_error([coarse, fine], truth, [0.5, 2.0])
    assert loss.item() == pytest.approx(0.5 * 5 + 2.0 * 9 / 4, abs=1e-4)


def test_census_is_what_a_neighbour_differs_by():
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 2] = 1 / 255
    code = census(image, radius=1)[0, :, 1, 1]
    expected = torch.zeros(9)
    expected[5] = 1 / (0.81 + 1) ** 0.5  # rows first: (dy, dx) = (0, +1)
    assert torch.allclose(code, expected)


def test_census_distance_does_not_see_brightness_and_counts_neighbours():
    torch.manual_seed(0)
    image = 0.2 + 0.5 * torch.rand(1, 1, 9, 9)
    assert census_distance(image, image + 0.2).max().item() < 1e-4
    # opposite ramps: columns left and right of the centre differ by 2 * 100 / sqrt(0.81 + 100^2)
    ramp = (torch.arange(3.0) * 100 / 255).expand(1, 1, 3, 3)
    distance = census_distance(ramp, ramp.flip(3), radius=1)[0, 0, 1, 1].item()
    squared = 4 * 100**2 / (0.81 + 100**2)
    assert distance == pytest.approx(6 * squared / (0.1 + squared), rel=1e-4)


def test_what_does_not_close_is_hidden():
    forward = vectors((10, 0), (10, 0), (0, 0))
    back = vectors((-10, 0), (-8, 0), (0.7, 0))
    # gaps 0, 4, 0.49 against 0.01 * (200, 164, 0.49) + 0.5 = 2.5, 2.14, 0.505
    hidden = forward_backward_occlusion(forward, back)
    assert hidden.flatten().tolist() == [False, True, False]


def test_window_cross_entropy_shares_between_the_four_places_around():
    probability = torch.arange(1.0, 10.0) / 45
    scores = (probability.log() + 3.0)[None, :, None, None].expand(1, 9, 1, 3)
    # right and down by a quarter; exactly right; outside
    offset = vectors((0.25, 0.25), (1, 0), (1.5, 0))
    p = probability.reshape(3, 3)
    first = -(9 * p[1, 1].log() + 3 * p[1, 2].log() + 3 * p[2, 1].log() + p[2, 2].log()) / 16
    expected = (first - p[1, 2].log()) / 2
    assert window_cross_entropy(scores, offset).item() == pytest.approx(expected.item(), rel=1e-2)
