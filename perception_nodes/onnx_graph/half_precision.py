# SPDX-License-Identifier: Apache-2.0
"""Half precision written into the graph, where it is harmless and pays. Needs the package onnx.

TensorRT 11 has no fp16 switch: a strongly typed network runs each layer in the type the file says.
The rules, in the order in which they are applied to every node:

1. Convolutions and matrix products run in fp16: nearly all of the time is theirs.
2. Except the last ones before an output (the heads): what they give is a quantity in px, m or
   log-probability, and fp16 resolves 128..256 px in steps of 0.125. A layer of which only the
   size reaches an output is no head.
3. Light operators (activations, sums, concatenation, pooling, resizing, reshaping) run in fp16 if
   all that flows into them is fp16 already.
4. Everything else stays fp32: softmax and soft-argmax, exp, log, square roots, reductions and
   variances, divisions, sampling grids, coordinates.

Inputs and outputs of the graph keep their types.
"""

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from perception_nodes.onnx_graph.weight_storage import constants_to_initialisers, restore_full
from perception_nodes.types import PerceptionError

HEAVY = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})
LARGEST_HALF = 65504.0
# Light operators, and which of their inputs carry the type (None: all).
LIGHT: dict[str, tuple[int, ...] | None] = {
    'Relu': None, 'LeakyRelu': None, 'PRelu': None, 'Sigmoid': None, 'HardSigmoid': None,
    'HardSwish': None, 'Tanh': None, 'Add': None, 'Sub': None, 'Mul': None, 'Concat': None,
    'Clip': None, 'MaxPool': None, 'AveragePool': None, 'Identity': None, 'Transpose': None,
    'Reshape': (0,), 'Flatten': None, 'Squeeze': (0,), 'Unsqueeze': (0,), 'Slice': (0,),
    'Split': (0,), 'Gather': (0,), 'Expand': (0,), 'Pad': (0, 2), 'Resize': (0,),
    'DepthToSpace': None, 'SpaceToDepth': None, 'Max': None, 'Min': None,
}


def half_model(model: bytes, keep: Iterable[str] = ()) -> bytes:
    """Rewrite a serialised fp32 model by the rules above.

    Parameters
    ----------
    keep : names of nodes that stay fp32 whatever the rules say.

    Raises
    ------
    PerceptionError
        If the file is no ONNX model or its types cannot be inferred.
    """
    try:
        proto = onnx.load_model_from_string(model)
        constants_to_initialisers(proto.graph)
        restore_full(proto)
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception as error:  # protobuf and onnx raise several unrelated classes
        raise PerceptionError(f'the model cannot be lowered to fp16: {error}') from None
    _Lowering(proto, frozenset(keep)).apply()
    return bytes(proto.SerializeToString())


def half_nodes(proto: ModelProto, keep: frozenset[str] = frozenset()) -> list[str]:
    """Names of the first outputs of the nodes that would run in fp16, in the graph's order."""
    lowering = _Lowering(proto, keep)
    return [node.output[0] for index, node in enumerate(proto.graph.node)
            if index in lowering.half]


def head_outputs(proto: ModelProto, kinds: Collection[str] = HEAVY) -> list[str]:
    """Names of what the last nodes of these kinds before an output give (convolutions, ...)."""
    nodes = (proto.graph.node[index] for index in sorted(_heads(proto.graph)))
    return [node.output[0] for node in nodes if node.op_type in kinds]


class _Lowering:
    """One rewriting of one graph."""

    def __init__(self, proto: ModelProto, keep: frozenset[str]) -> None:
        self.graph = proto.graph
        self.keep = keep
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.float = _float_tensors(self.graph)
        self.half_tensors: set[str] = set()
        self.half = self._choose()

    def _choose(self) -> set[int]:
        heads = _heads(self.graph)
        chosen: set[int] = set()
        for index, node in enumerate(self.graph.node):
            inputs = self._typed_inputs(node)
            flowing = [name for name in inputs if name not in self.constants]
            if node.op_type in HEAVY:
                fits = index not in heads
            else:
                fits = node.op_type in LIGHT and bool(flowing) and all(
                    name in self.half_tensors for name in flowing
                )
            fits = fits and node.name not in self.keep and all(map(self._representable, inputs))
            if fits and inputs and all(name in self.float for name in inputs):
                chosen.add(index)
                self.half_tensors.update(node.output)
        return chosen

    def _typed_inputs(self, node: NodeProto) -> list[str]:
        indices = LIGHT.get(node.op_type)
        return [
            name for index, name in enumerate(node.input)
            if name and (indices is None or index in indices)
        ]

    def _representable(self, name: str) -> bool:
        if name not in self.constants or name not in self.float:
            return True
        values = numpy_helper.to_array(self.constants[name])
        return bool(np.all(np.abs(values) < LARGEST_HALF))

    def apply(self) -> None:
        """Rewrite the nodes: inputs of the wrong type are cast once and shared."""
        nodes: list[NodeProto] = []
        cast: dict[tuple[str, int], str] = {}
        for position, node in enumerate(self.graph.node):
            lowered = position in self.half
            wanted = TensorProto.FLOAT16 if lowered else TensorProto.FLOAT
            typed = set(self._typed_inputs(node) if lowered else node.input)
            for index, name in enumerate(node.input):
                is_half = name in self.half_tensors
                if name not in typed or name not in self.float or (
                    is_half == lowered
                ):
                    continue
                if (name, wanted) not in cast:
                    cast[name, wanted] = f'{name}_{"half" if not is_half else "single"}'
                    if name in self.constants:
                        self._halve_constant(name, cast[name, wanted])
                    else:
                        nodes.append(helper.make_node(
                            'Cast', [name], [cast[name, wanted]], to=wanted,
                            name=f'cast_{cast[name, wanted]}',
                        ))
                node.input[index] = cast[name, wanted]
            nodes.append(node)
        # a graph output can only come out of a head's tail, so none of them changed its type
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        del self.graph.value_info[:]
        self._drop_unused_constants()

    def _halve_constant(self, name: str, new_name: str) -> None:
        values = numpy_helper.to_array(self.constants[name]).astype(np.float16)
        self.graph.initializer.append(numpy_helper.from_array(values, new_name))

    def _drop_unused_constants(self) -> None:
        used = {name for node in self.graph.node for name in node.input}
        used |= {value.name for value in self.graph.output}
        left = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(left)


def _heads(graph: GraphProto) -> set[int]:
    """Positions of heavy nodes that reach an output of the graph past no other heavy node."""
    open_tensors = {value.name for value in graph.output}
    heads: set[int] = set()
    for index in reversed(range(len(graph.node))):  # ONNX demands topological order
        node = graph.node[index]
        if node.op_type == 'Shape' or open_tensors.isdisjoint(node.output):
            continue
        if node.op_type in HEAVY:
            heads.add(index)
        else:
            open_tensors.update(node.input)
    return heads


def _float_tensors(graph: GraphProto) -> set[str]:
    """Names of all tensors that are float32."""
    names = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            names.add(value.name)
    return names
