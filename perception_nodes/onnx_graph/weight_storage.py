# SPDX-License-Identifier: Apache-2.0
"""Big weights kept as fp16 in the file, computed with as fp32. Needs the package onnx.

Halves a released file. A stored weight is followed by one Cast that every backend folds away when
it loads the model, so neither speed nor the precision of the arithmetic changes; the weight itself
is rounded to eleven bits.
"""

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

LEAST_VALUES = 2048
_STORED = '_stored'


def store_half(model: bytes) -> bytes:
    """Store every float32 weight of 2048 values or more as float16."""
    proto = onnx.load_model_from_string(model)
    constants_to_initialisers(proto.graph)
    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < LEAST_VALUES:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + _STORED))
        casts.append(helper.make_node(
            'Cast', [name + _STORED], [name], name=f'{name}_restored', to=TensorProto.FLOAT
        ))
    _replace_nodes(proto.graph, [*casts, *proto.graph.node])
    return bytes(proto.SerializeToString())


def restore_full(proto: ModelProto) -> None:
    """Undo ``store_half`` in place: weights are float32 again, the casts are gone."""
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    kept = []
    for node in proto.graph.node:
        source = node.input[0] if node.input else ''
        if node.op_type != 'Cast' or source not in stored or not source.endswith(_STORED):
            kept.append(node)
            continue
        values = numpy_helper.to_array(stored[source]).astype(np.float32)
        stored[source].CopyFrom(numpy_helper.from_array(values, node.output[0]))
    _replace_nodes(proto.graph, kept)


def constants_to_initialisers(graph: GraphProto) -> None:
    """Turn Constant nodes into initialisers, so that there is one kind of constant."""
    kept = []
    for node in graph.node:
        values = [entry for entry in node.attribute if entry.name == 'value']
        if node.op_type == 'Constant' and values:
            values[0].t.name = node.output[0]
            graph.initializer.append(values[0].t)
        else:
            kept.append(node)
    _replace_nodes(graph, kept)


def _replace_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
