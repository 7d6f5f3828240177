# SPDX-License-Identifier: Apache-2.0
"""The one training loop: any recipe, CPU or GPU, stoppable and resumable at every step."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from perception_nodes import signals
from perception_nodes.files.documents import to_json
from perception_nodes.networks import NETWORKS
from perception_nodes.training.checkpoint import (
    FILE_NAME,
    TrainingState,
    load_weights,
    restore,
    save_checkpoint,
)
from perception_nodes.training.muon import Muon
from perception_nodes.training.recipe import Batch, Evaluation, Recipe, Task
from perception_nodes.training.released_weights import initialise_from_released
from perception_nodes.types import PerceptionError

SAVE_SECONDS = 45.0
LOG_STEPS = 50
# An evaluation that fails shall not be found out at the end.
FIRST_EVALUATION_SECONDS = 60.0


def train(
    recipe: Recipe, data_root: Path, out: Path, *,
    resume: bool = False, warm_start: Path | None = None, device: str = 'cpu',
    progress: Callable[[float, dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Train until the recipe's budget is spent; the result is the checkpoint in ``out``.

    The checkpoint is written every 45 s, when a signal asks to end, and at the end.

    Parameters
    ----------
    resume : go on from the checkpoint in ``out`` (which must exist then).
    warm_start : a checkpoint of the same network whose averaged weights to start from, or a
        released ONNX file of it.
    progress : called with the share of the budget that is spent and what was last logged.

    Returns
    -------
    The last evaluation.

    Raises
    ------
    PerceptionError
        If there is no (or a foreign) checkpoint to resume or start from, or both are wanted, if
        ``out`` holds one that would be overwritten, or if the loss stops being finite.
    KeyboardInterrupt
        After saving, when interrupted.
    """
    path = out / FILE_NAME
    if not resume and path.exists():
        raise PerceptionError(f'{path} exists: go on with --resume, or name another --out')
    if resume and warm_start is not None:
        raise PerceptionError('a training either resumes or starts from other weights, not both')
    torch.manual_seed(recipe.seed)
    network = NETWORKS[recipe.network]().to(device, memory_format=torch.channels_last)
    new = not resume and warm_start is None
    released = warm_start is not None and warm_start.suffix == '.onnx'
    if warm_start is not None and not released:
        load_weights(warm_start, network, recipe.network)
    task = recipe.build(data_root, recipe.seed)
    if new and task.prepare is not None:
        task.prepare(network)
    if released:
        initialise_from_released(warm_start, network, task)
    average = copy.deepcopy(network).requires_grad_(False).eval()
    optimizer = Muon(parameter_groups(network, recipe.weight_decay))
    state = TrainingState(recipe.name, recipe.network, optimizer=type(optimizer).__name__)
    if resume:
        state = restore(path, recipe.network, network, average, optimizer)
        if state.recipe != recipe.name:
            raise PerceptionError(
                f'{path} is a training of recipe {state.recipe}, not of {recipe.name}'
            )
    run = _Run(recipe, task, network, average, optimizer, state, device)
    return run.until_done(path, out / 'log.jsonl', progress)


class _Run:
    """The moving parts of one training."""

    def __init__(
        self, recipe: Recipe, task: Task, network: nn.Module, average: nn.Module,
        optimizer: torch.optim.Optimizer, state: TrainingState, device: str,
    ) -> None:
        self.recipe, self.task, self.device = recipe, task, device
        self.bf16 = recipe.bf16 and computes_bf16(device)
        self.network, self.average, self.optimizer = network, average, optimizer
        self.state = state

    def until_done(
        self, path: Path, log_path: Path,
        progress: Callable[[float, dict[str, float]], None] | None,
    ) -> dict[str, float]:
        """Step, log, save and evaluate until the budget is spent."""
        self._save(path)
        began = time.monotonic() - self.state.seconds
        saved = logged_at = self.state.seconds
        evaluation_due = self.state.seconds + FIRST_EVALUATION_SECONDS
        logged_step = self.state.step
        shown: dict[str, float] = {}
        with signals.deferred() as interrupted:
            while (share := self._share()) < 1.0:
                logged = self._step(share)
                self.state = replace(
                    self.state, step=self.state.step + 1, seconds=time.monotonic() - began
                )
                if interrupted():
                    self._save(path)
                    raise KeyboardInterrupt
                if self.state.step % LOG_STEPS == 0:
                    shown = {key: float(value) for key, value in logged.items()}
                    passed = max(self.state.seconds - logged_at, 1e-9)
                    rate = (self.state.step - logged_step) / passed
                    logged_at, logged_step = self.state.seconds, self.state.step
                    self._log(log_path, shown | {'steps_per_second': rate, 'share': share})
                if self.state.seconds - saved > SAVE_SECONDS:
                    self._save(path)
                    saved = self.state.seconds
                if self.state.seconds > evaluation_due:
                    evaluated = time.monotonic()
                    quick = self.task.quick_evaluate or self.task.evaluate
                    shown = self._evaluate(log_path, quick)
                    evaluation_due = self.state.seconds + 60 * self.recipe.evaluate_minutes
                    began += time.monotonic() - evaluated
                if progress is not None:
                    progress(share, shown)
        self._save(path)
        return self._evaluate(log_path, self.task.evaluate)

    def _share(self) -> float:
        """Share of the budget that is spent."""
        if self.recipe.steps is not None:
            return self.state.step / self.recipe.steps
        return self.state.seconds / (60 * self.recipe.minutes)

    def _step(self, share: float) -> dict[str, Tensor]:
        recipe = self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + self.state.step)
        for group in self.optimizer.param_groups:
            group['lr'] = recipe.learning_rate * schedule(share, recipe.warmup)
        batch = to_device(self.task.batches.batch(self.state.step), self.device)
        self.network.train()
        with torch.autocast(self.device.split(':')[0], torch.bfloat16, enabled=self.bf16):
            loss, logged = self.task.loss(self.network, batch)
        if not torch.isfinite(loss):
            raise PerceptionError(
                f'the loss of {recipe.name} is {loss.item()} at step {self.state.step}; '
                'resume from the last checkpoint with a lower learning rate'
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self.optimizer.step()
        update_average(self.average, self.network, recipe.ema_decay, self.state.step)
        return {'loss': loss.detach(), 'gradient_norm': norm} | logged

    def _evaluate(self, log_path: Path, evaluation: Evaluation) -> dict[str, float]:
        with torch.inference_mode():
            metrics = evaluation(self.average)
        self._log(log_path, metrics)
        return metrics

    def _save(self, path: Path) -> None:
        save_checkpoint(path, self.state, self.network, self.average, self.optimizer)

    def _log(self, path: Path, values: dict[str, float]) -> None:
        entry = {'step': self.state.step, 'minutes': self.state.seconds / 60} | values
        with path.open('a') as file:
            file.write(to_json({k: round(v, 6) for k, v in entry.items()}) + '\n')


def computes_bf16(device: str) -> bool:
    """Whether the device has bfloat16 in hardware: without, convolutions are far slower in it."""
    if device.startswith('cuda'):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, 'get_capabilities', dict)()
    return any(capabilities.get(name) for name in ('avx512_bf16', 'amx_bf16', 'bf16'))


def schedule(share: float, warmup: float) -> float:
    """Factor of the learning rate: linear rise, then half a cosine to 0 (Loshchilov 2017)."""
    if share < warmup:
        return (share + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases and norms (one dimension) do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {'params': [p for p in parameters if p.ndim > 1], 'weight_decay': weight_decay},
        {'params': [p for p in parameters if p.ndim <= 1], 'weight_decay': 0.0},
    ]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the network's, faster in the first steps."""
    decay = min(decay, (step + 1) / (step + 10))
    own, new = list(average.parameters()), list(network.parameters())
    torch._foreach_lerp_(own, new, 1 - decay)
    for mean, buffer in zip(average.buffers(), network.buffers(), strict=True):
        if buffer.is_floating_point():
            mean.lerp_(buffer, 1 - decay)
        else:
            mean.copy_(buffer)


def to_device(batch: Batch, device: str) -> Batch:
    """Move a batch; images become channels-last."""
    return {
        key: value.to(device, memory_format=torch.channels_last)
        if value.ndim == 4 and value.is_floating_point() else value.to(device)
        for key, value in batch.items()
    }
