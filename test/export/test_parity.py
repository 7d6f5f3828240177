# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime repeats torch within the one bound, for every released model."""

import pytest
import torch
from torch import Tensor, nn

from perception_nodes.export.onnx_export import MOST_DIFFERENCE, largest_difference, to_onnx
from perception_nodes.export.releases import RELEASES
from perception_nodes.networks import NETWORKS
from perception_nodes.training.recipes import RECIPES

CALIBRATION = {'temperature': 1.2, 'sigma_scale': 0.8, 'sigma_power': 1.2}


class Off(nn.Module):
    """A graph whose first output is a share too large where it is traced."""

    def __init__(self, graph: nn.Module, share: float) -> None:
        super().__init__()
        self.graph, self.share = graph, share

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        first, *rest = self.graph(*inputs)
        return (first * (1 + self.share) if torch.jit.is_tracing() else first, *rest)


def untrained(name: str) -> nn.Module:
    """Give a release's graph around an untrained network."""
    torch.manual_seed(0)
    network = NETWORKS[RECIPES[name].network]().eval()
    return RELEASES[name].graph(network, CALIBRATION).eval()


@pytest.mark.parametrize('name', RELEASES)
def test_onnx_repeats_torch(name: str) -> None:
    assert MOST_DIFFERENCE == 1e-3
    release, graph = RELEASES[name], untrained(name)
    assert largest_difference(release, graph, to_onnx(release, graph)) < MOST_DIFFERENCE


@pytest.mark.parametrize(('share', 'refused'), [(1.5e-3, True), (5e-4, False)])
def test_a_share_of_large_values_is_noticed(share: float, refused: bool) -> None:
    release, graph = RELEASES['mono_depth'], Off(untrained('mono_depth'), share).eval()
    assert (largest_difference(release, graph, to_onnx(release, graph)) > 1e-3) == refused
