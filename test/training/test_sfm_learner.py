# SPDX-License-Identifier: Apache-2.0
"""SfMLearner's frames, loss and evaluation: truth explains the image, errors cost."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.losses.photometric import photometric_error
from perception_nodes.losses.reprojection import reprojected
from perception_nodes.networks.sfm_learner import SfMLearner
from perception_nodes.simulation.clips import (
    Clip,
    read_clip,
    rendered_clips,
    write_clip,
)
from perception_nodes.simulation.render.stereo_view import stereo_rig
from perception_nodes.training.dense_batches import DenseBatches
from perception_nodes.training.recipes import sfm_learner
from perception_nodes.training.recipes.sfm_learner import SfmEvaluation, build_sfm, sfm_loss
from perception_nodes.training.triplet_batches import triplet_example
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH, FOCAL_PX, DEPTH_M, STEP_M = 32, 64, 100.0, 10.0, 0.6


class Answers(nn.Module):
    """A network that knows depth and motion by heart."""

    def __init__(self, depth: Tensor, *ways: tuple[float, ...]) -> None:
        super().__init__()
        self.depth = depth
        motion = torch.tensor([[*way, 0.0, 0.0, 0.0] for way in ways])
        self.motion = motion.expand(len(depth), -1, -1)

    def forward(self, *images: Tensor) -> dict[str, object]:
        scales = [1 / self.depth[:, :, ::step, ::step] for step in (1, 2, 4, 8)]
        return {'depth': self.depth, 'scales': scales, 'motion': self.motion}


@pytest.fixture(scope='module')
def clip() -> Clip:
    """Four frames of a rendered drive, 96x64."""
    return next(rendered_clips(4, 4, stereo_rig(96, 64, 70.0)))


@pytest.fixture(scope='module')
def passing() -> dict[str, Tensor]:
    """A wall that a camera passes sideways, 6 px a frame; the first camera stands to the left."""
    noise = np.random.default_rng(0).normal(0.5, 0.3, (HEIGHT, WIDTH + 12, 3))
    wide = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 1.5).clip(0, 1)
    planes = torch.from_numpy(wide).permute(2, 0, 1)[None].expand(2, -1, -1, -1)
    before, image, after = (planes[..., start : start + WIDTH] for start in (0, 6, 12))
    k = torch.tensor([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
    others = torch.eye(4).repeat(2, 2, 1, 1)
    others[:, 0, 0, 3], others[:, 1, 0, 3] = STEP_M, -STEP_M
    return {
        'image': image, 'before': before, 'after': after, 'k': k.expand(2, 3, 3),
        'depth_m': torch.full((2, 1, HEIGHT, WIDTH), DEPTH_M), 'others_from_image': others,
    }


def ways(step_m: float) -> tuple[tuple[float, ...], ...]:
    """To the neighbours of a camera that moves to the right."""
    return (step_m, 0.0, 0.0), (-step_m, 0.0, 0.0)


def test_a_clip_comes_back_from_the_disk(clip: Clip, tmp_path) -> None:
    assert clip.images.shape == (4, 64, 96, 3) and clip.depth_m.shape == (4, 64, 96)
    write_clip(tmp_path / 'clips' / '000000.npz', clip)
    kept = read_clip(tmp_path / 'clips' / '000000.npz')
    np.testing.assert_array_equal(kept.images, clip.images)
    np.testing.assert_array_equal(kept.depth_m, clip.depth_m)
    (tmp_path / 'broken.npz').write_bytes(b'PK broken')
    with pytest.raises(PerceptionError, match='broken'):
        read_clip(tmp_path / 'broken.npz')


def test_depth_and_pose_of_a_triplet_explain_its_image(clip: Clip) -> None:
    """Also flipped, driven backwards and in other colours: some of twelve draws are."""
    k = clip.k - [[0, 0, 10], [0, 0, 0], [0, 0, 0]]
    aside = replace(clip, images=clip.images[:, :, 10:], depth_m=clip.depth_m[:, :, 10:], k=k)
    batch = DenseBatches(lambda rng: triplet_example(rng, [aside], 0.6), 12, 3).batch(0)
    assert len(batch['k'][:, 0, 2].unique()) == 2, 'some are flipped'
    assert (batch['others_from_image'][:, 0, 2, 3] < 0).any(), 'some are driven backwards'
    depth = batch['depth_m'].nan_to_num(1e4)
    for side, name in enumerate(('before', 'after')):
        other = batch[name]
        moved, inside = reprojected(other, depth, batch['k'], batch['others_from_image'][:, side])
        for index in range(12):
            one, seen = slice(index, index + 1), inside[index : index + 1]
            error = photometric_error(batch['image'][one], moved[one])[seen].mean()
            still = photometric_error(batch['image'][one], other[one])[seen].mean()
            assert error < 0.8 * still


def test_without_strength_frames_are_as_they_were_taken(clip: Clip) -> None:
    example = triplet_example(np.random.default_rng(0), [clip], 0.0)
    assert example['k'].tolist() == clip.k.astype(np.float32).tolist()
    forward_m = example['others_from_image'][:, 2, 3]
    assert forward_m[0] > 0.3 > -0.3 > forward_m[1], 'what was ahead is farther from before'


def test_the_truth_costs_least(passing: dict[str, Tensor]) -> None:
    """Depth and motion share a scale that nothing tells: both doubled are as right."""
    def cost(depth_m: float, step_m: float) -> float:
        depth = torch.full((2, 1, HEIGHT, WIDTH), depth_m)
        return sfm_loss(Answers(depth, *ways(step_m)), passing)[0].item()

    true = cost(DEPTH_M, STEP_M)
    assert true == pytest.approx(cost(2 * DEPTH_M, 2 * STEP_M), rel=1e-3)
    wrong = cost(2 * DEPTH_M, STEP_M), cost(DEPTH_M, -STEP_M), cost(DEPTH_M, 0.0)
    assert true < 0.5 * min(wrong)
    assert sfm_loss(Answers(passing['depth_m'], *ways(STEP_M)), passing)[1]['counted'] > 0.8


def test_unevenness_costs(passing: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    rough = passing['depth_m'] * (1 + 0.02 * torch.rand(2, 1, HEIGHT, WIDTH))
    even, uneven = (sfm_loss(Answers(depth, *ways(0.0)), passing)[0]
                    for depth in (passing['depth_m'], rough))
    assert even < uneven


def test_evaluation_scales_depth_and_measures_the_angle(passing: dict[str, Tensor]) -> None:
    batches = DenseBatches(lambda rng: {}, 1)
    batches.__dict__['batch'] = lambda step: passing
    evaluate = SfmEvaluation(batches, 2)
    found = evaluate(Answers(3 * passing['depth_m'], *ways(0.1)))
    assert found['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert found['direction_deg'] == pytest.approx(0, abs=0.1)
    depth = passing['depth_m'].clone()
    depth[..., : WIDTH // 4] *= 1.5
    found = evaluate(Answers(depth, (1.0, 0.0, 1.0), (-1.0, 0.0, 0.0)))
    assert found['abs_rel'] == pytest.approx(0.5 / 4)
    assert found['direction_deg'] == pytest.approx(45 / 2, abs=0.1)


def test_the_recipe_learns_from_its_batches(clip: Clip, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(sfm_learner, 'kept_clips', lambda count: [clip] * count)
    monkeypatch.setattr(sfm_learner, 'HELD_OUT', 1)
    task = build_sfm(tmp_path, 0)
    torch.manual_seed(0)
    network = SfMLearner()
    loss, logged = task.loss(network, task.batches.batch(0))
    loss.backward()
    assert torch.isfinite(loss) and 0 < logged['counted'] < 1
    for part in (network.depth, network.pose):
        assert any(parameter.grad.abs().max() > 0 for parameter in part.parameters())
    with torch.inference_mode():
        metrics = task.evaluate(network.eval())
    assert metrics.keys() == {'abs_rel', 'direction_deg'}
    assert metrics['abs_rel'] > 0 and 0 <= metrics['direction_deg'] <= 180
