# SPDX-License-Identifier: Apache-2.0
"""A drive as clips and pairs: gaps part clips, scans stand in the middle, flips exchange sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.samples import DriveFrame
from perception_nodes.training.drive_video import (
    CLIP_SIZE,
    clips_around_scans,
    drive_clips,
    drive_pairs,
    pair_example,
)
from perception_nodes.training.recipes.drive_self_supervised import MonodepthOnDrive
from perception_nodes.types import Camera, Image, StereoRig


@dataclass
class Entry:
    """What a drive says of a frame without reading it."""

    name: str


class Drive:
    """Frames of these numbers that go straight on; 20 m away as far as there is a scan."""

    def __init__(self, numbers: list[int], scans: tuple[int, ...] = ()) -> None:
        self.entries = [Entry(f'{number:06d}') for number in numbers]
        self.scans = [numbers.index(scan) for scan in scans]

    def with_depth(self) -> list[int]:
        return self.scans

    def __getitem__(self, index: int | slice) -> DriveFrame | list[DriveFrame]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self.entries)))]
        number = int(self.entries[index].name)
        pose = np.eye(4)
        pose[2, 3] = number
        cameras = (Camera.pinhole(80, 24, 50.0, 50.0, 40, 12, baseline_m=b) for b in (0, 0.5))
        left, right = (Image(np.full((24, 80), value, np.uint8)) for value in (60, 180))
        depth = np.full((24, 80), 20.0, np.float32) if index in self.scans else None
        return DriveFrame(self.entries[index].name, left, right, StereoRig(*cameras), pose, depth)


def numbers_of(clip) -> list[float]:
    return clip.world_from_camera[:, 2, 3].tolist()


def test_gaps_part_clips_and_long_runs_overlap_by_two() -> None:
    clips = drive_clips(Drive([1, 2, 4, 5, 6, *range(10, 25)]))
    assert [numbers_of(clip) for clip in clips] == [
        [4, 5, 6], list(range(10, 22)), list(range(20, 25)),
    ]  # fmt: skip
    assert clips[0].images.shape == (3, *CLIP_SIZE[::-1], 3)
    assert clips[0].k[0, 0] == pytest.approx(50.0 * CLIP_SIZE[0] / 80)
    assert np.isnan(clips[0].depth_m).all()


def test_a_scan_without_both_neighbours_is_left_out() -> None:
    clips = clips_around_scans(Drive([1, 2, 3, 5, 6, 7, 8], (2, 3, 5, 6, 8)))
    assert [numbers_of(clip) for clip in clips] == [[1, 2, 3], [5, 6, 7]]
    for clip in clips:
        assert np.isfinite(clip.depth_m).all(axis=(1, 2)).tolist().count(True) >= 1
        assert (clip.depth_m[1] == 20).all()


def test_a_flipped_pair_exchanges_its_sides() -> None:
    """The right image is the brighter one: flipped, it is seen from the left."""
    pairs = drive_pairs(Drive([1, 2]))
    drawn = [pair_example(np.random.default_rng(seed), pairs) for seed in range(20)]
    brighter = {bool(sample['right'].mean() > sample['left'].mean()) for sample in drawn}
    assert brighter == {True, False}


class KnowsTheWall(nn.Module):
    """50 px times 0.5 m over 20 m are 1.25 px, of 80 px of width."""

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {'scales': [torch.full_like(image[:, :2], 1.25 / 80)]}


def test_monodepth_is_evaluated_in_metres() -> None:
    with torch.inference_mode():
        found = MonodepthOnDrive(Drive([1, 2], (2,)))(KnowsTheWall())
    assert found['abs_rel'] == pytest.approx(0.0, abs=1e-5)
    assert found['delta1'] == 1.0


def test_the_real_drive_has_clips_and_triplets_around_scans(shared: Path) -> None:
    root = shared / 'data' / 'kitti_drive_0926'
    assert len(drive_clips(KittiDrive(root, 'fit'))) >= 15
    held_out = clips_around_scans(KittiDrive(root, 'held_out'))
    assert len(held_out) >= 8
    assert all(0.005 < np.isfinite(clip.depth_m[1]).mean() < 0.2 for clip in held_out)
