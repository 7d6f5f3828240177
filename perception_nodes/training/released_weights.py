# SPDX-License-Identifier: Apache-2.0
"""Go on training from a released ONNX file.

Export folds every batch norm into the convolution before it. Here the convolution gets the folded
weights, and the norm behind it the statistics that these have on training data, with the scale and
shift that make it an identity: the network computes what the file computes, and can learn again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from perception_nodes.inference.model_card import load_model
from perception_nodes.onnx_graph.weight_storage import constants_to_initialisers, restore_full
from perception_nodes.training.recipe import Task
from perception_nodes.types import Array, PerceptionError

MEASURED_BATCHES = 12
WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm')
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def initialise_from_released(
    path: Path, network: nn.Module, task: Task, part: str = ''
) -> list[str]:
    """Put a released model's weights into a new network.

    Parameters
    ----------
    path : the ONNX file, its card beside it.
    network : of the same architecture; what only serves training keeps its values.
    task : whose batches the norms are measured on.
    part : name of the module that the file's network is a relative of; it takes what it has of
        the file's layers. Empty: the whole network, which must have them all.

    Returns
    -------
    Names of the layers with weights that are not in the file, within the part.

    Raises
    ------
    PerceptionError
        If the file holds a layer that the network has not, or in another shape.
    """
    _, content = load_model(path)
    proto = onnx.load_model_from_string(content)
    values = values_of(proto)
    whole, network = network, network.get_submodule(part)
    own = {name for name, module in network.named_modules() if isinstance(module, LAYERS)}
    norms: dict[nn.BatchNorm2d, Tensor] = {}
    found = set()
    for name, weight, bias in layers_of(proto, values):
        if part and name not in own:
            continue
        layer = _layer(path, network, name, weight)
        layer.weight.data.copy_(torch.from_numpy(weight.copy()))
        shift = torch.zeros(len(weight)) if bias is None else torch.from_numpy(bias.copy())
        if layer.bias is not None:
            layer.bias.data.copy_(shift)
        elif bias is not None:
            norms[_norm_behind(network, name)] = shift
        found.add(name)
    found |= take_by_name(path, network, values)
    restore_norms(whole, norms, task)
    return [name for name, module in network.named_modules()
            if isinstance(module, LAYERS) and name not in found]


def take_by_name(path: Path, network: nn.Module, values: Mapping[str, Array]) -> set[str]:
    """Copy what kept its name: parameters of no layer, and layers whose norm was not folded.

    Returns
    -------
    Names of the modules that they belong to.
    """
    own, found = network.state_dict(), set()
    for name, array in values.items():
        key = name.removeprefix('network.')
        if name == key or key not in own:
            continue
        if tuple(own[key].shape) != array.shape:
            raise PerceptionError(
                f'{path}: {key} is {list(array.shape)}, the network has {list(own[key].shape)}; '
                'train without --warm-start'
            )
        own[key].copy_(torch.from_numpy(array.copy()))
        found.add(key.rpartition('.')[0])
    return found


def values_of(proto: onnx.ModelProto) -> dict[str, Array]:
    """Weights and constants of a model by name, in single precision."""
    constants_to_initialisers(proto.graph)
    restore_full(proto)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def layers_of(
    proto: onnx.ModelProto, values: Mapping[str, Array]
) -> Iterator[tuple[str, Array, Array | None]]:
    """Name in the network, weight and bias of every layer of a model, each once."""
    seen = set()
    for node in proto.graph.node:
        if node.op_type in WEIGHTED and node.input[1] in values and node.input[1] not in seen:
            seen.add(node.input[1])
            arrays = [values[name] for name in node.input[1:]]
            yield module_name(node.name), arrays[0], arrays[1] if len(arrays) > 1 else None


def module_name(node_name: str) -> str:
    """``stage4.first.0`` of ``/network/stage4/first/first.0/Conv``."""
    parts: list[str] = []
    for part in node_name.strip('/').split('/')[:-1]:
        if parts and part.startswith(f'{parts[-1]}.'):
            parts.pop()
        parts.append(part)
    return '.'.join(parts[1:] if parts[:1] == ['network'] else parts)


def restore_norms(network: nn.Module, norms: dict[nn.BatchNorm2d, Tensor], task: Task) -> None:
    """Make norms add their shifts and nothing else, with the statistics of the task's batches.

    Parameters
    ----------
    norms : float C to be added, by the norm.
    """
    measured = {norm: _Moments(norm.num_features) for norm in norms}
    hooks = [norm.register_forward_pre_hook(measured[norm].look) for norm in norms]
    for norm, shift in norms.items():
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.data.fill_(1)
        norm.bias.data.copy_(shift)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        for step in range(MEASURED_BATCHES):
            task.loss(network, task.batches.batch(step))
    for hook in hooks:
        hook.remove()
    for norm, shift in norms.items():
        mean, variance = measured[norm].mean, measured[norm].variance
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.data.copy_(shift + mean)
    network.train()


@dataclass
class _Moments:
    """Mean and variance of a channel over all that passes."""

    channels: int
    count: int = 0

    def __post_init__(self) -> None:
        self._sum = torch.zeros(self.channels, dtype=torch.float64)
        self._squares = torch.zeros(self.channels, dtype=torch.float64)

    def look(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Count what is on its way into a norm, B C H W."""
        values = inputs[0].detach().double()
        self.count += values.numel() // self.channels
        self._sum += values.sum((0, 2, 3))
        self._squares += values.square().sum((0, 2, 3))

    @property
    def mean(self) -> Tensor:
        return (self._sum / self.count).float()

    @property
    def variance(self) -> Tensor:
        spread = self._squares / self.count - (self._sum / self.count).square()
        return spread.clamp(min=1e-6).float()


def _layer(path: Path, network: nn.Module, name: str, weight: Array) -> nn.Conv2d:
    try:
        layer = network.get_submodule(name)
    except AttributeError:
        layer = None
    if not isinstance(layer, LAYERS):
        raise PerceptionError(f'{path} has a layer {name} that the network has not: it is a '
                              'release of another network; train without --warm-start')
    if tuple(layer.weight.shape) != weight.shape:
        raise PerceptionError(
            f'{path}: layer {name} is {list(weight.shape)}, the network has '
            f'{list(layer.weight.shape)}; train without --warm-start'
        )
    return layer


def _norm_behind(network: nn.Module, name: str) -> nn.BatchNorm2d:
    """Find the norm that follows a convolution in its Sequential."""
    parent, _, index = name.rpartition('.')
    norm = network.get_submodule(f'{parent}.{int(index) + 1}') if index.isdigit() else None
    if not isinstance(norm, nn.BatchNorm2d):
        raise PerceptionError(f'the bias of layer {name} has no place in the network')
    return norm
