# SPDX-License-Identifier: Apache-2.0
"""Recorded depth: labels where they are known, a focal length that follows the resizing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.training.depth_evaluation import (
    MeasuredImage,
    MeasuredSet,
    RecordedDepthEvaluation,
    held_out_sets,
    relative_errors,
)
from perception_nodes.training.recorded_depth import (
    FOCAL_RANGE_PX,
    DepthView,
    known_everywhere,
    office_views,
    view_example,
    view_of,
    with_lidar,
)
from perception_nodes.types import PerceptionError

SIZE = (64, 96)


def flat_view(depth_m: float = 8.0, height: int = 120, width: int = 160) -> DepthView:
    """A wall of which the left half is measured, at a focal length of 400 px."""
    depth = np.full((height, width), depth_m, np.float32)
    depth[:, width // 2 :] = np.nan
    image = np.random.default_rng(0).integers(0, 255, (height, width), np.uint8)
    return view_of(image, depth, 400.0)


def test_the_focal_length_follows_the_resizing() -> None:
    """The wall's depth in the network's lens says by which focal length the crop was drawn."""
    focals = []
    for seed in range(40):
        sample = view_example(np.random.default_rng(seed), [flat_view()], SIZE)
        assert sample['image'].shape == (*SIZE, 3)
        known = sample['weight'] > 0
        if known.any():
            depth = np.exp(sample['log_depth'][known])
            assert np.ptp(depth) < 1e-3
            focals.append(8.0 * FOCAL_PX / depth[0])
    assert len(focals) > 30
    stretched = np.array(FOCAL_RANGE_PX) * [0.85, 1.15]
    assert stretched[0] < min(focals) < 330 and 480 < max(focals) < stretched[1]


def test_an_example_is_flipped_as_a_whole() -> None:
    """What is known is the brighter half, whichever side that is on."""
    view = flat_view()
    image = np.where(view.depth_m > 0, 200, 50).astype(np.uint8)
    view = DepthView(image, view.depth_m, view.weight, view.focal_px)
    sides = set()
    for seed in range(30):
        sample = view_example(np.random.default_rng(seed), [view], (100, 150))
        known = sample['weight'][0] > 0
        grey = sample['image'].mean(2)
        assert grey[known].mean() > grey[~known].mean() + 10
        sides.add(bool(known[:, 0].all()))
    assert sides == {False, True}


def test_lidar_fills_holes_but_not_behind_what_is_nearer() -> None:
    depth = np.full((20, 40), np.nan, np.float32)
    depth[:, :20] = 5.0
    view = view_of(np.zeros((20, 40), np.uint8), depth, 400.0)
    lidar = np.full((20, 40), np.nan, np.float32)
    lidar[10, [10, 21, 35]] = (30.0, 30.0, 30.0)
    filled = with_lidar(view, lidar)
    assert filled.depth_m[10, [10, 21, 35]].tolist() == [5.0, 0.0, 30.0]
    assert filled.weight[10, [10, 21, 35]].tolist() == [1.0, 0.0, 1.0]


def test_a_view_has_one_size_and_exact_examples_count_everywhere() -> None:
    with pytest.raises(PerceptionError, match='different sizes'):
        DepthView(np.zeros((4, 6), np.uint8), np.zeros((4, 5)), np.zeros((4, 6)), 100.0)
    exact = {'log_depth': np.zeros((1, 2, 3), np.float32)}
    sample = known_everywhere(np.random.default_rng(0), lambda rng: exact)
    assert sample['weight'].sum() == 6


class Wall(nn.Module):
    """Says 10 m of everything at the network's focal length, give or take a tenth."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        depth = torch.full_like(image[:, :1], float(np.log(10.0)))
        return {'log_depth': depth, 'log_scale': torch.full_like(depth, np.log(0.1 / 2**0.5))}


def test_evaluation_knows_the_lens() -> None:
    """Twice the focal length, the same image: twice as far."""
    image = np.zeros((64, 96, 3), np.uint8)
    truth = np.full((64, 96), np.nan, np.float32)
    truth[10:20] = 20.0
    sets = {
        name: MeasuredSet([MeasuredImage(image, factor * FOCAL_PX, truth)], 80.0, False)
        for name, factor in (('a', 2), ('b', 1.9))
    }
    with torch.inference_mode():
        found = RecordedDepthEvaluation(sets)(Wall())
        ((error, sigma),) = relative_errors(Wall(), [sets['b']], 50)
    assert found['a_abs_rel'] == pytest.approx(0.0, abs=1e-6)
    assert found['b_abs_rel'] == pytest.approx(0.05, abs=1e-6)
    assert (found['b_abs_rel_median_scaled'], found['b_coverage1']) == (pytest.approx(0), 1.0)
    assert error == pytest.approx(1 - 20 / 19, abs=1e-6) and sigma == pytest.approx(0.1)


def test_real_views_and_what_is_held_out(shared: Path, tmp_path: Path) -> None:
    """Office and drive give metres; the held-out images are none of those learned from."""
    office = office_views(shared / 'data' / 'hololens_office')
    assert 100 < len(office) < 300
    assert 0.5 < np.median(office[0].depth_m[office[0].depth_m > 0]) < 4.0
    sets = held_out_sets(shared / 'data')
    assert {name: len(found.images) for name, found in sets.items()} == {
        'drive': 16, 'kitti': 10, 'office': 40,
    }  # fmt: skip
    learned = {view.image.tobytes() for view in office}
    assert not learned & {view.image.tobytes() for view in sets['office'].images}
