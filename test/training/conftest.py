# SPDX-License-Identifier: Apache-2.0
"""A training that takes milliseconds: a small network, noise as data, a real optimiser."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perception_nodes.networks import NETWORKS
from perception_nodes.training.recipe import Batch, Recipe, Task


class Small(nn.Module):
    """Convolution, norm, dropout, convolution."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map B 3 H W to B 1 H W."""
        return self.layers(image)


@dataclass
class NoiseBatches:
    """Batches of a seed; before(step) is called first, to disturb the training."""

    seed: int
    before: Callable[[int], None] = lambda step: None
    steps: list[int] = field(default_factory=list)

    def batch(self, step: int) -> Batch:
        """Images and what is to be estimated from them: their mean over the channels."""
        self.before(step)
        self.steps.append(step)
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        image = torch.randn(4, 3, 8, 8, generator=generator)
        return {'image': image, 'truth': image.mean(1, keepdim=True)}


def square_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean square error."""
    loss = (network(batch['image']).float() - batch['truth']).square().mean()
    return loss, {'square': loss.detach()}


@dataclass
class Disturbance:
    """What a test wants to happen before a step."""

    before: Callable[[int], None] = lambda step: None


@pytest.fixture
def disturbance() -> Disturbance:
    """Assign its ``before`` to make something happen within the training."""
    return Disturbance()


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, disturbance: Disturbance) -> Recipe:
    """Twelve steps of training ``small``; ``wide`` is another architecture."""
    monkeypatch.setitem(NETWORKS, 'small', Small)
    monkeypatch.setitem(NETWORKS, 'wide', lambda: Small(6))

    def build(root: Path, seed: int) -> Task:
        batches = NoiseBatches(seed, lambda step: disturbance.before(step))
        held_out = NoiseBatches(99).batch(0)

        def evaluate(network: nn.Module) -> dict[str, float]:
            return {'square': float(square_loss(network, held_out)[0])}

        return Task(batches, square_loss, evaluate)

    return Recipe('small', 'small', build, steps=12, learning_rate=0.02)
