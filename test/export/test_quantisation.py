# SPDX-License-Identifier: Apache-2.0
"""Which layers become int8: a network of which one layer suffers from it by construction."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.export import quantisation
from perception_nodes.export.quantisation import quantise
from perception_nodes.types import PerceptionError

CHANNELS = 24
RNG = np.random.default_rng(0)
INPUTS = [{'image': RNG.integers(0, 256, (1, 24, 32, 3), np.uint8)} for _ in range(2)]


def chain(layers: int) -> bytes:
    """A chain: ``spread`` (1x1) gives four channels, the first of them 1000 times too large.

    ``gather`` (1x1) divides it by as much, so that one int8 scale for its input leaves nothing of
    the other three. ``wide0``, ... are plain 3x3, ``head`` is the last, and of the wide ones the
    sizes are taken too.
    """
    mix = RNG.normal(0, 1, (4, 3, 1, 1))
    back = RNG.normal(0, 1, (CHANNELS, 4, 1, 1))
    mix[0] *= 1000
    back[:, 0] /= 1000
    weights = {'spread': mix, 'gather': back}
    for index in range(layers):
        weights[f'wide{index}'] = RNG.normal(0, 0.1, (CHANNELS, CHANNELS, 3, 3))
    weights['head'] = RNG.normal(0, 1, (2, CHANNELS, 1, 1))
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['float'], ['x'], perm=[0, 3, 1, 2]),
    ]
    last = 'x'
    for name, kernel in weights.items():
        border = kernel.shape[-1] // 2
        nodes.append(helper.make_node('Conv', [last, f'{name}.weight'], [f'{name}.sum'], name=name,
                                      pads=[border] * 4))
        nodes.append(helper.make_node('Relu', [f'{name}.sum'], [name]))
        last = name
    nodes += [helper.make_node('Shape', ['gather.sum'], ['size']),
              helper.make_node('Identity', ['head.sum'], ['map'])]
    graph = helper.make_graph(
        nodes, 'chain',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('map', TensorProto.FLOAT, [1, 2, 'H', 'W']),
         helper.make_tensor_value_info('size', TensorProto.INT64, [4])],
        [numpy_helper.from_array(kernel.astype(np.float32), f'{name}.weight')
         for name, kernel in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def integer_layers(model: bytes) -> set[str]:
    """Names of convolutions that read what was quantised."""
    return {node.name for node in onnx.load_from_string(model).graph.node
            if node.op_type == 'Conv' and 'DequantizeLinear' in node.input[1]}


def error(exact: bytes, near: bytes) -> float:
    """Relative deviation of the map."""
    one, two = (
        onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider']).run(
            ['map'], INPUTS[0])[0]
        for model in (exact, near)
    )
    return float(np.abs(one - two).mean() / one.std())


def test_the_layer_that_suffers_stays_float(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(layers=2)
    lowered, layers, left = quantise(model, INPUTS)
    assert integer_layers(lowered) == {'wide0', 'wide1'}
    assert (layers, left) == (2, 2)
    monkeypatch.setattr(quantisation, 'FLOAT_SHARES', (0.0,))
    everything, layers, left = quantise(model, INPUTS)
    assert integer_layers(everything) == {'spread', 'gather', 'wide0', 'wide1'}
    assert (layers, left) == (4, 0)
    assert error(model, lowered) < 0.02
    assert error(model, everything) > 5 * error(model, lowered)


def test_more_layers_stay_float_where_the_heads_still_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantisation, 'FLOAT_SHARES', (0.05, 1.0))
    monkeypatch.setattr(quantisation, 'MOST_DISTURBED', 1e-9)
    _, layers, left = quantise(chain(layers=2), INPUTS)
    assert (layers, left) == (0, 4)


def test_only_what_goes_into_an_integer_layer_is_quantised() -> None:
    lowered = onnx.load_from_string(quantise(chain(layers=3), INPUTS)[0])
    onnx.checker.check_model(lowered, full_check=True)
    made_from = {node.output[0]: node.input[0] for node in lowered.graph.node
                 if node.op_type == 'QuantizeLinear'}
    assert set(made_from.values()) == {'gather', 'wide0', 'wide1'}, 'after the activation'
    used = {name for node in lowered.graph.node for name in node.input}
    assert {tensor.name for tensor in lowered.graph.initializer} <= used


def test_a_model_without_such_layers_is_refused() -> None:
    proto = onnx.load_from_string(chain(layers=0))
    del proto.graph.node[2:-2]
    proto.graph.node[-2].input[0] = 'x'
    proto.graph.node[-1].input[0] = 'x'
    with pytest.raises(PerceptionError, match='no convolution'):
        quantise(proto.SerializeToString(), INPUTS)
