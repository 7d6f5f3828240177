# SPDX-License-Identifier: Apache-2.0
"""A training on disk: one safetensors file whose header also holds the state as JSON.

One file, written to a temporary name and renamed: tensors and state can never disagree.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, optim

from perception_nodes.files import write_atomically
from perception_nodes.types import PerceptionError

FILE_NAME = 'checkpoint.safetensors'


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands: steps done, seconds spent, and what it is a training of.

    Checkpoints that do not name their optimiser are of the time when all were AdamW's.
    """

    recipe: str
    network: str
    step: int = 0
    seconds: float = 0.0
    optimizer: str = 'AdamW'


def save_checkpoint(
    path: Path, state: TrainingState, network: nn.Module, average: nn.Module,
    optimizer: optim.Optimizer,
) -> None:
    """Write weights, averaged weights, optimiser state and training state, all or nothing.

    Raises
    ------
    PerceptionError
        If it cannot be written; an older checkpoint is left as it was.
    """
    tensors = {f'network.{k}': v for k, v in network.state_dict().items()}
    tensors |= {f'average.{k}': v for k, v in average.state_dict().items()}
    for index, moments in optimizer.state_dict()['state'].items():
        tensors |= {f'optimizer.{index}.{k}': torch.as_tensor(v) for k, v in moments.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    content = save(tensors, {'state': json.dumps(asdict(state))})
    try:
        write_atomically(path, content)
    except PerceptionError as error:
        raise PerceptionError(f'{error}; the checkpoint before it, if any, is intact') from error


def read_checkpoint(path: Path) -> tuple[TrainingState, dict[str, Tensor]]:
    """Read a checkpoint file: its state and every tensor by name.

    Raises
    ------
    PerceptionError
        If there is none or it is not one.
    """
    if not path.is_file():
        raise PerceptionError(f'no checkpoint {path}; train first, without --resume')
    try:
        with safe_open(path, 'pt') as file:
            state = TrainingState(**json.loads(file.metadata()['state']))
            return state, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise PerceptionError(
            f'{path} is not a checkpoint of ours or is damaged ({error})'
        ) from error


def load_weights(path: Path, network: nn.Module, network_name: str) -> TrainingState:
    """Put a checkpoint's averaged weights into a network of the same architecture."""
    state, tensors = read_checkpoint(path)
    _check_network(path, state, network_name)
    _load(path, network, tensors, 'average.')
    return state


def restore(
    path: Path, network_name: str, network: nn.Module, average: nn.Module,
    optimizer: optim.Optimizer,
) -> TrainingState:
    """Put everything back as it was when the checkpoint was saved.

    Raises
    ------
    PerceptionError
        If the checkpoint is missing, damaged, of another architecture or of another optimiser.
    """
    state, tensors = read_checkpoint(path)
    _check_network(path, state, network_name)
    if state.optimizer != type(optimizer).__name__:
        raise PerceptionError(
            f'{path} was trained with {state.optimizer}, not with {type(optimizer).__name__}: '
            'begin with it (--warm-start) in another output folder instead of resuming it'
        )
    _load(path, network, tensors, 'network.')
    _load(path, average, tensors, 'average.')
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith('optimizer.'):
            _, index, name = key.split('.')
            moments.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {'state': moments})
    return state


def _check_network(path: Path, state: TrainingState, network_name: str) -> None:
    if state.network != network_name:
        raise PerceptionError(
            f'{path} holds weights of {state.network}, not of {network_name}; '
            'choose another output folder or that recipe'
        )


def _load(path: Path, module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    weights = {k[len(prefix):]: v for k, v in tensors.items() if k.startswith(prefix)}
    own = module.state_dict()
    wrong = sorted(own.keys() ^ weights.keys()) + sorted(
        k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape
    )
    if wrong:
        raise PerceptionError(
            f'{path} is of another version of the network: {len(wrong)} tensors differ, '
            f'first {wrong[0]}; train anew or use the code that wrote it'
        )
    module.load_state_dict(weights)
