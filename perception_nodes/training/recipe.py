# SPDX-License-Identifier: Apache-2.0
"""What a training is made of; the loop knows nothing else about a task."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch], tuple[Tensor, dict[str, Tensor]]]
"""Network in training mode and a batch -> the loss to descend and scalars to log."""
Evaluation = Callable[[nn.Module], dict[str, float]]
"""Network in evaluation mode (averaged weights) -> metrics, all of them logged."""


class Batches(Protocol):
    """Endless training data."""

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: a function of the seed and the step alone, so it resumes."""
        ...


@dataclass(frozen=True)
class Task:
    """Data, loss and evaluation, built from a data root when training starts.

    Attributes
    ----------
    evaluate : of the result. quick_evaluate : a cheaper one during training; None: the same.
    prepare : changes a new network before its first step (weights of another task, centres of the
        data); not called when training resumes or warm-starts from a checkpoint.
    """

    batches: Batches
    loss: Loss
    evaluate: Evaluation
    prepare: Callable[[nn.Module], None] | None = None
    quick_evaluate: Evaluation | None = None


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes
    ----------
    network : name in NETWORKS.
    build : data root and seed -> the task.
    minutes : wall-clock budget without evaluations, over which the learning rate falls along a
        cosine to 0.
    steps : if given, the budget in steps instead: then a run repeats exactly.
    learning_rate, weight_decay : of Muon. warmup : first share of the budget, rising linearly.
    clip_norm : gradients longer than this are shortened to it.
    ema_decay : of the averaged weights, which are the result.
    bf16 : compute in bfloat16 where autocast allows and the device has instructions for it.
    evaluate_minutes : time between evaluations.
    data, data_licence : for the card.
    """

    name: str
    network: str
    build: Callable[[Path, int], Task]
    minutes: float = 60.0
    steps: int | None = None
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.02
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    bf16: bool = True
    evaluate_minutes: float = 10.0
    data: str = ''
    data_licence: str = ''
