# SPDX-License-Identifier: Apache-2.0
"""Weights stored as fp16: half the file, the same arithmetic, undone without a trace."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.onnx_graph.weight_storage import LEAST_VALUES, restore_full, store_half

rng = np.random.default_rng(0)


def model(weight: np.ndarray) -> bytes:
    nodes = [
        helper.make_node('MatMul', ['x', 'weight'], ['y']),
        helper.make_node('Constant', [], ['one'], value=numpy_helper.from_array(np.float32(1))),
        helper.make_node('Add', ['y', 'one'], ['z']),
    ]
    graph = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info('z', TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(weight, 'weight')],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    return made.SerializeToString()


def answer(content: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])
    return session.run(None, {'x': x})[0]


def test_stored_half_computes_in_full_with_rounded_weights():
    weight = rng.normal(size=(64, 64)).astype(np.float32)
    full = model(weight)
    stored = store_half(full)
    assert len(stored) < 0.55 * len(full)
    x = rng.normal(size=(1, 64)).astype(np.float32)
    rounded = weight.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(answer(stored, x), x @ rounded + 1, rtol=1e-5, atol=1e-5)


def test_restoring_leaves_no_cast():
    weight = rng.normal(size=(64, 64)).astype(np.float32)
    proto = onnx.load_model_from_string(store_half(model(weight)))
    restore_full(proto)
    onnx.checker.check_model(proto)
    assert [node.op_type for node in proto.graph.node] == ['MatMul', 'Add']
    restored = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}['weight']
    np.testing.assert_array_equal(restored, weight.astype(np.float16).astype(np.float32))


def test_small_and_huge_weights_stay():
    huge = np.full((64, 64), 1e6, np.float32)
    for weight in (huge, np.ones((64, 64), np.float32)[:, :LEAST_VALUES // 64 - 1]):
        proto = onnx.load_model_from_string(store_half(model(weight)))
        assert 'Cast' not in [node.op_type for node in proto.graph.node]
