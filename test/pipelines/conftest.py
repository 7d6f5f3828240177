# SPDX-License-Identifier: Apache-2.0
"""A runner in memory: it answers what the test computes, and keeps what it was asked."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from perception_nodes.inference.model_card import ModelCard, TensorSpec
from perception_nodes.inference.runner import RunnerState
from perception_nodes.types import Array, Camera, Image, StereoRig

Answer = Callable[[Mapping[str, Array]], dict[str, Array]]


class MemoryRunner:
    """A Runner whose model is a python function."""

    backend = 'memory'

    def __init__(self, card: ModelCard, answer: Answer) -> None:
        self.card, self.answer = card, answer
        self.inputs: list[dict[str, Array]] = []
        self.outputs: list[Sequence[str] | None] = []

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Answer with the wanted outputs only."""
        self.inputs.append(dict(inputs))
        self.outputs.append(outputs)
        out = self.answer(inputs)
        return out if outputs is None else {name: out[name] for name in outputs}

    def state(self) -> RunnerState:
        """Say that it serves."""
        return RunnerState(self.backend)

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def memory_runner() -> Callable[..., MemoryRunner]:
    """Build a MemoryRunner from a task and an answer."""

    def build(task: str, answer: Answer, **fields: object) -> MemoryRunner:
        masks = TensorSpec('dropout_masks', 'float32', (-1, 6))
        inputs = (masks,) if task == 'segmentation' else ()
        return MemoryRunner(ModelCard(name=task, task=task, inputs=inputs, **fields), answer)

    return build


@pytest.fixture
def rig() -> StereoRig:
    """Build a rig of 24x16 pixels, f = 20 px, baseline 0.5 m: depth = 10 / disparity."""
    sizes = {'width': 24, 'height': 16, 'fx': 20.0, 'fy': 20.0, 'cx': 11.5, 'cy': 7.5}
    return StereoRig(
        Camera.pinhole(**sizes, frame_id='left'),
        Camera.pinhole(**sizes, baseline_m=0.5, frame_id='right'),
    )


@pytest.fixture
def image() -> Callable[..., Image]:
    """Build an Image of seeded noise."""

    def build(
        stamp_ns: int = 0, *, width: int = 24, height: int = 16, mono: bool = False,
        frame_id: str = 'left', seed: int = 0,
    ) -> Image:
        shape = (height, width) if mono else (height, width, 3)
        data = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        return Image(data, stamp_ns, frame_id)

    return build
