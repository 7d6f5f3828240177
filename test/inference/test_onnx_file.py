# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from perception_nodes.inference.onnx_file import check_graph, split_card, with_card
from perception_nodes.types import PerceptionError

node = helper.make_node


def model(nodes: Sequence[NodeProto], *constants: TensorProto) -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in 'xy']
    graph = helper.make_graph(nodes, 'g', values[:1], values[1:], list(constants))
    return helper.make_model(graph).SerializeToString()


def constant(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def body() -> onnx.GraphProto:
    values = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in 'cd']
    return helper.make_graph([node('Identity', ['c'], ['d'])], 'b', values[:1], values[1:])


def external() -> TensorProto:
    tensor = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[4],
                         data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = 'location', 'weights.bin'
    return tensor


LARGE = (1 << 20, 1 << 20)
REFUSED = {
    'external weights': (model([node('Identity', ['w'], ['y'])], external()), 'another file'),
    'a loop': (model([node('Loop', ['', 'x'], ['y'], body=body())]), 'Loop is refused'),
    'a loop in a branch': (model([node('If', ['x'], ['y'], else_branch=body(),
        then_branch=helper.make_graph([node('Loop', ['', 'x'], ['y'], body=body())], 't', [], []),
    )]), 'Loop is refused'),
    'a shape that its values do not fill': (
        model([node('Identity', ['w'], ['y'])],
              TensorProto(name='w', data_type=TensorProto.FLOAT, dims=LARGE)), 'holds'),
    'a negative size': (model([], TensorProto(name='w', data_type=1, dims=[-4])), 'holds'),
    'a large constant by an initialiser': (
        model([node('ConstantOfShape', ['s'], ['y'])], constant('s', *LARGE)), 'ConstantOfShape'),
    'a large constant by a node': (
        model([node('Constant', [], ['s'], value=constant('', *LARGE)),
               node('Expand', ['x', 's'], ['y'])]), 'Expand'),
    'a large constant by integers': (
        model([node('Constant', [], ['s'], value_ints=LARGE),
               node('Tile', ['x', 's'], ['y'])]), 'Tile'),
    'sparse constants': (model([node('Constant', [], ['y'], sparse_value=helper.
        make_sparse_tensor(numpy_helper.from_array(np.ones(1, np.float32), 'v'),
                           constant('i', 0), LARGE))]), 'sparse'),
    'nothing': (b'', 'no graph'),
    'no protobuf': (b'\xff' * 50, 'no ONNX file'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_must_not_reach_a_backend(what: str) -> None:
    content, told = REFUSED[what]
    with pytest.raises(PerceptionError, match=told):
        check_graph(content)


def test_usual_graphs_pass(blur_model: Path, deep_model: Path) -> None:
    for path in (blur_model, deep_model):
        check_graph(path.read_bytes())
    check_graph(model([node('ConstantOfShape', ['s'], ['y'])], constant('s', 3, 4)))


def test_the_card_inside_is_of_exactly_this_model(blur_model: Path) -> None:
    graph = blur_model.read_bytes()
    held = with_card(graph, '{"a": 1}')
    onnx.checker.check_model(onnx.load_model_from_string(held))
    assert split_card(held) == (graph, b'{"a": 1}')
    assert split_card(graph) == (graph, b'')
    for at in range(0, len(held), 61):
        bad = bytearray(held)
        bad[at] ^= 4
        assert split_card(bytes(bad))[1] == b''
    assert split_card(held + graph)[1] == b''
    again = onnx.load_model_from_string(held)
    again.doc_string = 'changed'
    assert split_card(again.SerializeToString())[1] == b''
