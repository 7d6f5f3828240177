# SPDX-License-Identifier: Apache-2.0
"""A training on disk: one safetensors file whose header also holds the state as JSON.

One file, written to a temporary name and renamed: tensors and state can never disagree.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn, optim

from perception_nodes.files.atomic import FileKind, write_atomically
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.types import CheckpointError, PerceptionError

FILE_NAME = 'checkpoint.safetensors'
CHECKPOINT = FileKind('checkpoint', lambda head: head[8:].lstrip().startswith(b'{"__metadata__"'))
# What each optimiser keeps of a parameter; "step" is one number, the rest is of its shape.
MOMENTS: dict[str, tuple[frozenset[str], ...]] = {
    'AdamW': (frozenset({'step', 'exp_avg', 'exp_avg_sq'}),),
    'Muon': (frozenset({'momentum'}), frozenset({'step', 'mean', 'square'})),
}


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

    def __post_init__(self) -> None:
        if self.step < 0 or not self.seconds >= 0:
            raise CheckpointError(f'{self.step} steps in {self.seconds} s cannot be')


def save_checkpoint(
    path: Path, state: TrainingState, network: nn.Module, average: nn.Module,
    optimizer: optim.Optimizer,
) -> None:
    """Write weights, averaged weights, optimiser state and training state, all or nothing.

    Raises
    ------
    CheckpointError
        If it cannot be written; an older checkpoint is left as it was.
    """
    tensors = {f'network.{k}': v for k, v in network.state_dict().items()}
    tensors |= {f'average.{k}': v for k, v in average.state_dict().items()}
    for index, moments in optimizer.state_dict()['state'].items():
        tensors |= {f'optimizer.{index}.{k}': torch.as_tensor(v) for k, v in moments.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    content = save(tensors, {'state': to_json(state)})
    try:
        write_atomically(path, content, CHECKPOINT)
    except PerceptionError as error:
        raise CheckpointError(f'{error}; the checkpoint before it, if any, is intact') from error


def read_checkpoint(path: Path) -> tuple[TrainingState, dict[str, Tensor]]:
    """Read a checkpoint file: its state and every tensor by name.

    Raises
    ------
    CheckpointError
        If there is none or it is not one.
    """
    if not path.is_file():
        raise CheckpointError(f'no checkpoint {path}; train first, without --resume')
    try:
        with safe_open(path, 'pt') as file:
            state = decode_json((file.metadata() or {}).get('state', ''), TrainingState)
            return state, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors and torch have no base in common
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(
            f'{path} is not a checkpoint of ours or is damaged ({reason})'
        ) from None


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
    CheckpointError
        If the checkpoint is missing, damaged, of another architecture or of another optimiser.
    """
    state, tensors = read_checkpoint(path)
    _check_network(path, state, network_name)
    if state.optimizer != type(optimizer).__name__:
        raise CheckpointError(
            f'{path} was trained with {state.optimizer}, not with {type(optimizer).__name__}: '
            'start from it (--warm-start) in another output folder instead of resuming it'
        )
    _load(path, network, tensors, 'network.')
    _load(path, average, tensors, 'average.')
    moments = _moments(path, tensors, optimizer)
    optimizer.load_state_dict(optimizer.state_dict() | {'state': moments})
    return state


def _moments(
    path: Path, tensors: dict[str, Tensor], optimizer: optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """What the optimiser keeps of each parameter, by its number; checked."""
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if not key.startswith('optimizer.'):
            continue
        match = re.fullmatch(r'optimizer\.([0-9]{1,6})\.(\w+)', key)
        if match is None or int(match[1]) >= len(parameters):
            raise CheckpointError(f'{path} is damaged: {key!r:.60} is no state of a parameter')
        wanted = () if match[2] == 'step' else tuple(parameters[int(match[1])].shape)
        if tuple(tensor.shape) != wanted or not torch.isfinite(tensor).all():
            raise CheckpointError(f'{path} is damaged: {key} is {list(tensor.shape)}, not '
                                  f'{list(wanted)}, or not finite')
        moments.setdefault(int(match[1]), {})[match[2]] = tensor
    known = MOMENTS.get(type(optimizer).__name__)
    for index, entry in moments.items():
        if known is not None and frozenset(entry) not in known:
            raise CheckpointError(f'{path} is damaged: state of parameter {index} is missing')
    return moments


def _check_network(path: Path, state: TrainingState, network_name: str) -> None:
    if state.network != network_name:
        raise CheckpointError(
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
        raise CheckpointError(
            f'{path} is of another version of the network: {len(wrong)} tensors differ, '
            f'first {wrong[0]}; train anew or use the code that wrote it'
        )
    module.load_state_dict(weights)
