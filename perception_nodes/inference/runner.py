# SPDX-License-Identifier: Apache-2.0
"""What every backend looks like from outside: named arrays in, named arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from perception_nodes.inference.model_card import ModelCard
from perception_nodes.types import Array, ModelError


class EngineFailedError(Exception):
    """An engine cannot go on (no memory, device lost, ...): another backend must serve."""


@dataclass(frozen=True)
class RunnerState:
    """How a runner is doing, for diagnostics.

    Attributes
    ----------
    serving : what answers now: 'onnxruntime 1.20 cpu', 'tensorrt 10.3 fp16', ...
    engine : 'none' (this backend has none), 'waiting' (for the first image), 'looking',
        'building', 'loading', 'ready' or 'failed'.
    detail : one line: why it builds, how far it is, why it failed; '' if nothing is up.
    progress : of the build, 0..1.
    healthy : False if the wanted backend failed and another one serves in its place.
    engine_key : digest of the engine's key; '' without one.
    """

    serving: str
    engine: str = 'none'
    detail: str = ''
    progress: float = 0.0
    healthy: bool = True
    engine_key: str = ''


class Runner(Protocol):
    """A loaded model. Not thread safe: one runner, one worker.

    Attributes
    ----------
    card : what the model is: task, inputs, outputs, classes, calibration.
    backend : what runs it, for people: 'onnxruntime cpu', 'tensorrt 10.3 fp16', ...
    """

    @property
    def card(self) -> ModelCard:
        """See above."""
        ...

    @property
    def backend(self) -> str:
        """See above."""
        ...

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once; only the named outputs (all by default).

        Raises
        ------
        PerceptionError
            If a name, dtype or shape differs from the card's.
        """
        ...

    def state(self) -> RunnerState:
        """Look at it, from any thread, at any time."""
        ...

    def close(self) -> None:
        """Free what the backend holds; running afterwards is an error."""
        ...


def for_task(runner: Runner, task: str) -> Runner:
    """Pass a runner on if its model is for a task.

    Raises
    ------
    ModelError
        If it is for another one.
    """
    if runner.card.task != task:
        raise ModelError(
            f'model {runner.card.name!r} is for {runner.card.task}, not for {task}: '
            'choose a model of that task'
        )
    return runner
