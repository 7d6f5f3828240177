# SPDX-License-Identifier: Apache-2.0
"""Begin a training with what another one has learned."""

from pathlib import Path

from torch import nn

from perception_nodes.training.checkpoint import read_checkpoint
from perception_nodes.types import PerceptionError


def transplant(path: Path, network: nn.Module) -> int:
    """Put the averaged weights of another network's checkpoint into a part of this one.

    Parameters
    ----------
    path : the checkpoint.
    network : the part; it takes those of its own names that the checkpoint has in its own shape.

    Returns
    -------
    How many tensors were taken.

    Raises
    ------
    PerceptionError
        If there is no checkpoint, or a tensor of the part is missing in it.
    """
    _, tensors = read_checkpoint(path)
    own = network.state_dict()
    found = {name: tensors.get(f'average.{name}') for name in own}
    wrong = [name for name, value in found.items()
             if value is None or value.shape != own[name].shape]
    if wrong:
        raise PerceptionError(
            f'{path} does not hold {len(wrong)} of {len(own)} tensors, first {wrong[0]}: it is a '
            'training of another network'
        )
    network.load_state_dict({name: value for name, value in found.items() if value is not None})
    return len(found)
