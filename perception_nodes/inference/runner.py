# SPDX-License-Identifier: Apache-2.0
"""What every backend looks like from outside: named arrays in, named arrays out."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from perception_nodes.inference.model_card import ModelCard
from perception_nodes.types import Array


class Runner(Protocol):
    """A loaded model. Not thread safe: one runner, one worker.

    Attributes
    ----------
    card : what the model is: task, inputs, outputs, classes, calibration.
    backend : what runs it, for people: 'onnxruntime cpu', 'tensorrt 10.3 fp16', ...
    """

    card: ModelCard
    backend: str

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once; only the named outputs (all by default).

        Raises
        ------
        PerceptionError
            If a name, dtype or shape is not what the card says.
        """
        ...

    def close(self) -> None:
        """Free what the backend holds; running afterwards is an error."""
        ...
