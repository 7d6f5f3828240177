# SPDX-License-Identifier: Apache-2.0
"""Stereo and flow of recorded pairs are scored in the camera's pixels, at the graph's size."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perception_nodes.export.network_input import network_size
from perception_nodes.training import flow_evaluation, stereo_evaluation
from perception_nodes.training.flow_evaluation import (
    MeasuredMotion,
    RecordedFlowEvaluation,
    at_rest,
)
from perception_nodes.training.stereo_evaluation import (
    MeasuredPair,
    RecordedStereoEvaluation,
    sides,
)
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH = 192, 256
PIXELS = HEIGHT * WIDTH // 4


class Constant(nn.Module):
    """Answers the same everywhere: value, and half a pixel of Laplace scale if it has a sigma."""

    def __init__(self, key: str, value: tuple[float, ...], *, sigma: bool = True) -> None:
        super().__init__()
        self.key, self.sigma, self.sizes = key, sigma, list[tuple[int, int]]()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Remember the size that was asked for."""
        self.sizes.append((first.shape[2], first.shape[3]))
        plane = torch.ones_like(first[:, :1])
        out = {self.key: self.value.detach()[None, :, None, None] * plane}
        return out | {'log_scale': math.log(0.5) * plane} if self.sigma else out


def image() -> np.ndarray:
    """Noise."""
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)


def pair(truth: float) -> MeasuredPair:
    """A pair with one disparity, known in the upper half."""
    disparity = np.full((HEIGHT, WIDTH), truth, np.float32)
    disparity[HEIGHT // 2 :] = np.nan
    return MeasuredPair(image(), image(), disparity)


def test_disparity_and_sigma_grow_with_the_image_and_only_known_pixels_count():
    network = Constant('disparity_px', (10.0,))
    evaluate = RecordedStereoEvaluation({'wall': [pair(24.0), pair(20.5)]}, pixels=PIXELS)
    scores = evaluate(network)
    assert network.sizes[0] == (HEIGHT // 2, WIDTH // 2)
    # 10 px at half the size are 20; sigma is 2 sqrt(2) / 2 = 1.41 px.
    assert scores['wall_epe_px'] == pytest.approx((4.0 + 0.5) / 2)
    assert scores['wall_d1'] == 0.5 and scores['wall_bad2'] == 0.5
    assert scores['wall_coverage1'] == 0.5 and scores['wall_coverage2'] == 0.5
    error, sigma = next(stereo_evaluation.signed_errors(network, [pair(24.0)], PIXELS))
    assert np.allclose(error, -2.0) and np.allclose(sigma, 0.5 * math.sqrt(2))
    assert len(error) == HEIGHT * WIDTH // 2


def test_a_network_without_sigma_has_no_coverage():
    network = Constant('disparity_px', (10.0,), sigma=False)
    scores = RecordedStereoEvaluation({'wall': [pair(20.0)]}, pixels=PIXELS)(network)
    assert set(scores) == {'wall_d1', 'wall_bad2', 'wall_epe_px'}
    with pytest.raises(PerceptionError, match='no sigma'):
        next(stereo_evaluation.signed_errors(network, [pair(20.0)], PIXELS))


def test_flow_is_scored_in_pixels_of_the_camera():
    network = Constant('flow_px', (3.0, 4.0))
    truth = np.tile(np.float32([6.0, 8.0]), (HEIGHT, WIDTH, 1))
    evaluate = RecordedFlowEvaluation(
        {'shift': [MeasuredMotion(image(), image(), truth)]}, pixels=PIXELS
    )
    scores = evaluate(network)
    assert scores['shift_epe_px'] == pytest.approx(0, abs=1e-4) and scores['shift_fl'] == 0
    rest = RecordedFlowEvaluation({'rest': [at_rest(image(), 2.0)]}, pixels=PIXELS)(network)
    assert rest['rest_median_px'] == pytest.approx(10.0) and rest['rest_fl'] == 1
    assert rest['rest_coverage2'] == 0
    motion = MeasuredMotion(image(), image(), truth + 2)
    error, sigma = next(flow_evaluation.signed_errors(network, [motion], PIXELS))
    assert np.allclose(error, -1.0) and np.allclose(sigma, 0.5 * math.sqrt(2))


def test_a_camera_at_rest_has_its_own_noise_in_each_image():
    motion = at_rest(image(), 2.0)
    assert not motion.flow_px.any()
    difference = motion.older.astype(float) - motion.newest.astype(float)
    assert 2.0 < difference.std() < 3.2


@pytest.mark.parametrize('shape', [(375, 1242), (480, 640), (240, 320), (96, 1000)])
@pytest.mark.parametrize('enlarged', [1.0, 1.5])
def test_sizes_are_those_of_the_graph(shape, enlarged):
    given = torch.zeros(1, *shape, 3, dtype=torch.uint8)
    wanted = network_size(given, torch.tensor(184320.0), enlarged=enlarged)
    assert sides(shape, 184320, enlarged) == tuple(wanted.tolist())
