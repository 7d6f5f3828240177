# SPDX-License-Identifier: Apache-2.0
"""SfMLearner: depth and motion from three frames in a row, without their truth."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception_nodes.losses.photometric import auto_masked_reprojection, edge_aware_smoothness
from perception_nodes.losses.reprojection import reprojected, transform_from_vector
from perception_nodes.training.dense_batches import DenseBatches
from perception_nodes.training.recipe import Batch, Recipe, Task
from perception_nodes.training.triplet_batches import kept_clips, triplet_example

CLIPS, HELD_OUT_CLIPS, HELD_OUT = 60, 6, 12
SMOOTHNESS_WEIGHT = 1e-3
FARTHEST_M = 80.0
LEAST_STEP_M = 0.05


def sfm_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The neighbours, moved by depth and motion, must explain the image; depth is smooth.

    After Zhou et al. 2017 with the masks of Godard et al. 2019 instead of the learned one: the
    better neighbour counts, and a pixel that fits better unmoved does not. Each scale is enlarged
    to the image's size: where a coarse image has no texture, it would leave holes.
    """
    image, others = batch['image'], [batch['before'], batch['after']]
    out = network(image, *others)
    others_from_image = [transform_from_vector(vector) for vector in out['motion'].unbind(1)]
    total, shares = image.new_zeros(()), []
    for index, scale in enumerate(out['scales']):
        inverse = F.interpolate(scale, image.shape[2:], mode='bilinear', align_corners=False)
        explained = [
            reprojected(other, 1 / inverse, batch['k'], motion)[0]
            for other, motion in zip(others, others_from_image, strict=True)
        ]
        error, counted = auto_masked_reprojection(image, explained, others)
        # Depth has no unit here: less of it would be smoother.
        relative = scale / scale.mean((2, 3), keepdim=True)
        small = F.interpolate(image, scale.shape[2:], mode='area')
        smooth = edge_aware_smoothness(relative, small)
        total = total + error + SMOOTHNESS_WEIGHT / 2**index * smooth
        shares.append(counted.float().mean())
    count = len(out['scales'])
    return total / count, {'counted': torch.stack(shares).mean().detach()}


class SfmEvaluation:
    """Against the truth that training does not see, on streets of their own.

    abs_rel : of the depth up to 80 m, scaled by the ratio of the medians of each image.
    direction_deg : angle between the estimated and the true way to the neighbours.
    """

    def __init__(self, batches: DenseBatches, count: int) -> None:
        self.held_out = [batches.batch(step) for step in range(count)]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Metrics of a network in evaluation mode."""
        relative, angles = [], []
        for batch in self.held_out:
            out = network(batch['image'], batch['before'], batch['after'])
            for depth, truth in zip(out['depth'], batch['depth_m'], strict=True):
                known = truth < FARTHEST_M
                found, wanted = depth[known], truth[known]
                found = found * (wanted.median() / found.median())
                relative.append(((found - wanted).abs() / wanted).mean())
            step_m = batch['others_from_image'][..., :3, 3]
            cosine = F.cosine_similarity(out['motion'][..., :3], step_m, dim=-1, eps=1e-12)
            moved = torch.linalg.vector_norm(step_m, dim=-1) > LEAST_STEP_M
            angles.append(torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))[moved])
        return {
            'abs_rel': float(torch.stack(relative).mean()),
            'direction_deg': float(torch.cat(angles).mean()),
        }


def build_sfm(root: Path, seed: int) -> Task:
    """Rendered drives to learn from, others to be evaluated on; the data root is not looked at."""
    clips = kept_clips(CLIPS + HELD_OUT_CLIPS)
    evaluated = DenseBatches(partial(triplet_example, clips=clips[CLIPS:], strength=0.0), 4, 99)
    return Task(
        DenseBatches(partial(triplet_example, clips=clips[:CLIPS], strength=0.6), 4, seed),
        sfm_loss, SfmEvaluation(evaluated, HELD_OUT),
    )


# Not in bfloat16: the product of K, pose and pixel would be off by whole pixels.
SFM_LEARNER = Recipe(
    'sfm_learner', 'sfm_learner', build_sfm, minutes=600.0, learning_rate=2e-4, bf16=False,
    data=f'{CLIPS} rendered drives of 12 frames', data_licence='Apache-2.0',
)
