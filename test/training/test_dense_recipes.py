# SPDX-License-Identifier: Apache-2.0
"""Losses of the dense recipes: the truth costs less than an error, for every recipe."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from perception_nodes.training.recipes import RECIPES
from perception_nodes.training.recipes.mono_depth import depth_loss
from perception_nodes.training.recipes.optical_flow import flow_loss
from perception_nodes.training.recipes.published_dense import (
    flownet_loss,
    gc_net_loss,
    monodepth_loss,
)
from perception_nodes.training.recipes.stereo_depth import stereo_loss

HEIGHT, WIDTH, SHIFT = 32, 64, 8


class Answers(nn.Module):
    """A network that has learned its answer by heart."""

    def __init__(self, **answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *inputs: torch.Tensor) -> dict[str, object]:
        return self.answer


def flat(value: float, channels: int = 1, scale: int = 1) -> torch.Tensor:
    return torch.full((2, channels, HEIGHT // scale, WIDTH // scale), float(value))


@pytest.fixture(scope='module')
def pair() -> dict[str, torch.Tensor]:
    """Give two images, the right one SHIFT px further left."""
    noise = np.random.default_rng(0).normal(0.5, 0.3, (HEIGHT, WIDTH + SHIFT, 3))
    wide = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 1.5).clip(0, 1)
    planes = torch.from_numpy(wide).permute(2, 0, 1)[None].expand(2, -1, -1, -1)
    return {
        'left': planes[..., :WIDTH], 'right': planes[..., SHIFT:],
        'disparity_px': flat(SHIFT), 'weight': flat(1),
    }


def stereo_answer(disparity: float, log_scale: float = 0.0) -> Answers:
    scores = torch.zeros(2, 10, HEIGHT // 4, WIDTH // 4)
    scores[:, round(disparity / 4)] = 8.0
    return Answers(disparity_px=flat(disparity), log_scale=flat(log_scale), scores=scores)


def test_stereo_truth_costs_least(pair):
    right, wrong = (stereo_loss(stereo_answer(d), pair)[0].item() for d in (SHIFT, SHIFT + 8))
    assert right < wrong - 3


def flow_answer(x: float) -> Answers:
    starts, flows, scores = [], [], []
    for scale in (16, 8, 4):
        starts.append(flat(0, 2, scale))
        flow = flat(0, 2, scale)
        flow[:, 0] = x / scale
        flows.append(flow)
        window = torch.zeros(2, 49, HEIGHT // scale, WIDTH // scale)
        window[:, 3 * 7 + round(3 - x / scale)] = 8.0
        scores.append(window)
    full = flat(0, 2)
    full[:, 0] = x
    return Answers(flow_px=full, log_scale=flat(0), start=starts, flows=flows, scores=scores,
                   coarse_px=[full])


def test_flow_truth_costs_least():
    truth = flat(0, 2)
    truth[:, 0] = 8.0
    batch = {'image0': flat(0, 3), 'image1': flat(0, 3), 'flow_px': truth, 'weight': flat(1)}
    right, wrong = (flow_loss(flow_answer(x), batch)[0].item() for x in (8, 0))
    assert right < wrong - 3


def test_depth_truth_costs_least_where_it_is_known():
    weight = flat(1)
    weight[:, :, :, ::2] = 0
    batch = {'image': flat(0, 3), 'log_depth': torch.where(weight > 0, 2.0, 9.0), 'weight': weight}
    answers = [Answers(log_depth=flat(value), log_scale=flat(-1)) for value in (2, 3)]
    right, wrong = (depth_loss(answer, batch)[0].item() for answer in answers)
    assert right < wrong - 2
    noisy = Answers(log_depth=flat(2) + 0.1 * torch.randn(2, 1, HEIGHT, WIDTH),
                    log_scale=flat(-1))
    assert right < depth_loss(noisy, batch)[0].item() < wrong


def test_published_losses_are_least_at_the_truth(pair):
    disparities = [gc_net_loss(Answers(disparity_px=flat(d)), pair)[0] for d in (SHIFT, 11)]
    assert disparities[0] == 0 and disparities[1] == 3
    truth = flat(0, 2)
    batch = {'image0': flat(0, 3), 'image1': flat(0, 3), 'flow_px': truth, 'weight': flat(1)}
    scales = [flat(0, 2, scale) for scale in (16, 8, 4, 2, 1)]
    off = [scale + 1 for scale in scales]
    right = flownet_loss(Answers(coarse_px=scales, flow_px=truth), batch)[0]
    wrong = flownet_loss(Answers(coarse_px=off, flow_px=truth), batch)[0]
    assert right < 1e-4 and wrong == pytest.approx(0.435 * 2**0.5, rel=1e-4)


def test_monodepth_explains_each_image_by_the_other_without_the_truth(pair):
    """Both disparities right costs less than none, too much, or the sides exchanged in sign."""
    def cost(left: float, right: float) -> float:
        both = torch.cat([flat(left / WIDTH), flat(right / WIDTH)], 1)
        unseen = {key: value for key, value in pair.items() if key in ('left', 'right')}
        return monodepth_loss(Answers(scales=[both]), unseen)[0].item()

    assert cost(SHIFT, SHIFT) < 0.6 * min(cost(0, 0), cost(16, 16), cost(-SHIFT, -SHIFT))


def test_dense_recipes_name_their_data_and_its_licence():
    for name in ('stereo_depth', 'gc_net', 'optical_flow', 'flownet_s', 'flownet_c',
                 'monodepth'):
        assert 'CamVid' in RECIPES[name].data and 'CC BY-NC 4.0' in RECIPES[name].data_licence
    assert 'CC BY-NC-SA 3.0' in RECIPES['mono_depth'].data_licence
