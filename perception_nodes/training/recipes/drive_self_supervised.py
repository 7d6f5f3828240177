# SPDX-License-Identifier: Apache-2.0
"""Monodepth and SfMLearner as published, on a recorded drive instead of made-up scenes.

Neither looks at depth or poses; both are evaluated on the part of the drive that is held out.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.training.dense_batches import DenseBatches
from perception_nodes.training.drive_video import (
    PAIR_SIZE,
    clips_around_scans,
    drive_clips,
    drive_pairs,
    pair_example,
)
from perception_nodes.training.recipe import Recipe, Task
from perception_nodes.training.recipes.published_dense import monodepth_loss
from perception_nodes.training.recipes.sfm_learner import SFM_LEARNER, SfmEvaluation, sfm_loss
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.training.triplet_batches import triplet_example
from perception_nodes.types import FloatArray

FOLDER = 'kitti_drive_0926'
BATCH_SIZE, HELD_OUT = 4, 8
STRENGTH = 0.6
DATA = 'a KITTI drive (first two thirds), without its depth and poses'
DATA_LICENCE = 'CC BY-NC-SA 3.0'


class MonodepthOnDrive:
    """Depth of the left images by the drive's own baseline, against LiDAR up to 80 m."""

    def __init__(self, drive: KittiDrive) -> None:
        self.frames = [drive[number] for number in drive.with_depth()]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode: abs_rel, abs_rel_median_scaled, delta1."""
        metric = DepthMetric(crop=True)
        for frame in self.frames:
            if frame.depth_m is None:
                continue
            disparity = whole_disparity(network, in_colour(frame.left.data))
            depth_m, _ = depth_from_disparity(
                disparity, disparity, frame.rig.focal_px, frame.rig.baseline_m
            )
            metric.update(depth_m, frame.depth_m)
        found = metric.compute()
        return {name: found[name] for name in ('abs_rel', 'abs_rel_median_scaled', 'delta1')}


def whole_disparity(network: nn.Module, image: FloatArray) -> FloatArray:
    """Disparity float32 [H, W] px of uint8 [H, W, 3], seen at PAIR_SIZE."""
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    small = F.interpolate(planes, size=PAIR_SIZE[::-1], mode='bilinear')
    share = network(small)['scales'][0][:, :1].float()
    full = F.interpolate(share, size=image.shape[:2], mode='bilinear')
    return full[0, 0].numpy() * np.float32(image.shape[1])


def build_monodepth(root: Path, seed: int) -> Task:
    """Learn from pairs of the drive's first part, be evaluated on scans of its last."""
    pairs = drive_pairs(KittiDrive(root / FOLDER, 'fit'))
    return Task(
        DenseBatches(partial(pair_example, pairs=pairs), BATCH_SIZE, seed), monodepth_loss,
        MonodepthOnDrive(KittiDrive(root / FOLDER, 'held_out')),
    )


def build_sfm(root: Path, seed: int) -> Task:
    """Learn from triplets of the drive's first part, be evaluated on scans of its last."""
    clips = drive_clips(KittiDrive(root / FOLDER, 'fit'))
    held_out = clips_around_scans(KittiDrive(root / FOLDER, 'held_out'))
    evaluated = DenseBatches(partial(triplet_example, clips=held_out, strength=0.0), 2, 99)
    return Task(
        DenseBatches(partial(triplet_example, clips=clips, strength=STRENGTH), BATCH_SIZE, seed),
        sfm_loss, SfmEvaluation(evaluated, HELD_OUT),
    )


MONODEPTH_DRIVE = Recipe(
    'monodepth_drive', 'monodepth', build_monodepth, minutes=600.0, learning_rate=1e-4, data=DATA,
    data_licence=DATA_LICENCE,
)
SFM_LEARNER_DRIVE = Recipe(
    'sfm_learner_drive', 'sfm_learner', build_sfm, minutes=600.0,
    learning_rate=SFM_LEARNER.learning_rate, bf16=False, data=DATA, data_licence=DATA_LICENCE,
)
