# SPDX-License-Identifier: Apache-2.0
"""What classical runners share: the gate in front, the state, and greys of what models take."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from perception_nodes.inference.check_inputs import check_inputs, check_outputs
from perception_nodes.inference.model_card import ModelCard
from perception_nodes.inference.runner import RunnerState
from perception_nodes.types import Array, FloatArray, PerceptionError


class ClassicalRunner:
    """A Runner over OpenCV; ``answer`` is what a method adds. OpenCV chooses its threads."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.backend = f'opencv {cv2.__version__}'

    @abstractmethod
    def answer(self, first: Array, second: Array) -> dict[str, Array]:
        """Answer two grey images uint8 [H, W], in the order of the card's inputs."""

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once (see Runner.run)."""
        names = check_outputs(self.card, outputs)
        arrays = check_inputs(self.card, inputs)
        first, second = (
            np.asarray(cv2.cvtColor(np.asarray(arrays[spec.name][0], np.uint8),
                                    cv2.COLOR_RGB2GRAY))
            for spec in self.card.inputs
        )
        if first.shape != second.shape:
            raise PerceptionError(
                f'model {self.card.name!r} compares images of one size, not '
                f'{first.shape[1]}x{first.shape[0]} and {second.shape[1]}x{second.shape[0]}'
            )
        try:
            found = self.answer(first, second)
        except cv2.error as error:
            text = ' '.join(str(error).split())
            raise PerceptionError(f'model {self.card.name!r} failed in OpenCV: {text}') from None
        return {name: found[name] for name in names}

    def state(self) -> RunnerState:
        """What serves; there is no engine to wait for."""
        return RunnerState(serving=self.backend)

    def close(self) -> None:
        """Nothing to free."""


def spread(values: FloatArray, side_px: int = 9) -> FloatArray:
    """Largest minus smallest value in the square window around each pixel, float32 [H, W]."""
    window = np.ones((side_px, side_px), np.uint8)
    known = np.nan_to_num(np.asarray(values, np.float32))
    return np.asarray(cv2.dilate(known, window) - cv2.erode(known, window), np.float32)
