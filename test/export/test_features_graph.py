# SPDX-License-Identifier: Apache-2.0
"""The graphs of features and places: keypoints where the network says, the same in ONNX."""

import numpy as np
import pytest
import torch

from perception_nodes.export.graphs.features import (
    FEATURES,
    KEYPOINTS,
    FeaturesGraph,
    score_map,
    side_by_side,
)
from perception_nodes.export.graphs.place_recognition import PlaceGraph
from perception_nodes.networks.keypoint_net import CELL, Fold, KeypointNet
from perception_nodes.networks.place_descriptor import NetVlad, PlaceDescriptor


@pytest.fixture(scope='module')
def features() -> KeypointNet:
    """An untrained network."""
    torch.manual_seed(0)
    return KeypointNet().eval()


def test_keypoints_stand_where_the_score_peaks(features) -> None:
    score = torch.zeros(1, 1, 64, 96)
    score[0, 0, 20, 30], score[0, 0, 40, 70], score[0, 0, 40, 71] = 0.9, 0.6, 0.3
    score[0, 0, 22, 32] = 0.1  # within 4 px of a higher one
    points, scores = FeaturesGraph(features).keypoints(score)
    assert points.shape == (KEYPOINTS, 2)
    assert scores[:3].tolist() == pytest.approx([0.9, 0.6, 0.0])
    # The second is the mean of two neighbours, 2 : 1; the first is drawn towards its rival.
    assert points[1].tolist() == pytest.approx([70 + 1 / 3, 40.0])
    assert points[0].tolist() == pytest.approx([30.2, 20.2])


def test_score_map_puts_cells_pixels_in_their_places() -> None:
    logits = torch.full((1, CELL**2 + 1, 4, 4), -20.0)
    logits[:, -1] = 0.0
    logits[0, 3 * CELL + 5, 1, 2] = 20.0  # row 3, column 5 of the cell (1, 2)
    score = score_map(logits)
    assert score.argmax().item() == (8 + 3) * 32 + (16 + 5)
    assert score[0, 0, 11, 21].item() == pytest.approx(1.0)


def test_fold_equals_its_two_steps() -> None:
    torch.manual_seed(0)
    fold, x = Fold(3, 5, 4).eval(), torch.randn(2, 3, 16, 24)
    convolution, norm, relu = fold
    expected = relu(norm(convolution(torch.nn.functional.pixel_unshuffle(x, 4))))
    torch.testing.assert_close(fold(x), expected)


def test_outputs_fit_the_card_and_lie_in_the_image(features) -> None:
    image = torch.randint(0, 256, (1, 75, 161, 3), dtype=torch.uint8)
    points, scores, descriptors = FeaturesGraph(features)(image)
    for array, spec in zip((points, scores, descriptors), FEATURES.outputs, strict=True):
        assert tuple(array.shape) == spec.shape and str(array.dtype) == f'torch.{spec.dtype}'
    there = scores[0] > 0
    assert 5 < there.sum() < KEYPOINTS and torch.equal(there, there.sort(descending=True).values)
    inside = (points[0] >= 0) & (points[0] <= torch.tensor([160.0, 74.0]))
    assert inside[there].all()
    torch.testing.assert_close(descriptors[0][there].norm(dim=1), torch.ones(int(there.sum())))
    assert not points[0][~there].any() and not descriptors[0][~there].any()


def test_side_by_side_undoes_swaps_but_hides_no_difference() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (1, 50, 2)).astype(np.float32)
    scores = np.linspace(1, 0.1, 50, dtype=np.float32)[None]
    descriptors = rng.normal(size=(1, 50, 4)).astype(np.float32)
    one = [points, scores, descriptors]
    order = np.r_[1, 0, 2:50]
    two = [array[:, order] for array in one]
    for mine, theirs in zip(*side_by_side(one, two), strict=True):
        assert np.array_equal(mine, theirs)
    elsewhere = [points + 5, scores, descriptors]
    mine, theirs = side_by_side(one, elsewhere)
    assert not np.allclose(mine[0], theirs[0])


def test_net_vlad_of_two_centres() -> None:
    vlad = NetVlad(2, 2, sharpness=1e3)
    vlad.centres.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # One descriptor off the first centre by (0, 0.6), one on the second: residual zero.
    descriptors = torch.tensor([[[1.0, 0.0], [0.6, 1.0]]])
    out = vlad(descriptors, torch.ones(1, 1, 2))
    torch.testing.assert_close(out, torch.tensor([[0.0, 1.0, 0.0, 0.0]]))
    nothing = vlad(descriptors, torch.zeros(1, 1, 2))
    assert torch.isfinite(nothing).all()


def test_a_place_looks_like_itself_in_other_sizes() -> None:
    torch.manual_seed(0)
    graph = PlaceGraph(PlaceDescriptor().eval())
    coarse = torch.randint(0, 256, (1, 3, 12, 16)).float()
    picture = torch.nn.functional.interpolate(coarse, size=(384, 512), mode='bicubic')
    image = picture.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    first, second = graph(image), graph(image[:, ::2, ::2].contiguous())
    assert first.shape == (1, 192)
    assert (first @ second.T).item() > 0.95
