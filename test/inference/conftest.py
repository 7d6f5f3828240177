# SPDX-License-Identifier: Apache-2.0
"""A small but real model, made by hand: its answer is known exactly."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.inference.model_card import (
    ModelCard,
    TensorSpec,
    card_path,
    file_sha256,
    write_card,
)


def write_blur_model(path: Path, *, gain: float = 2.0, halve: bool = True) -> ModelCard:
    """Write ``mean f32 [1,H,W]`` and ``grey u8 [1,H,W]`` of ``image u8 [1,H,W,3]``.

    mean = gain * (average of a pixel's channels) / 255, computed at half the size that the graph
    derives from H and W itself, as released models do; grey = that, times 255 / gain, rounded.
    """
    weights = np.full((1, 3, 1, 1), gain / 3, np.float32)
    scale = 0.5 if halve else 1.0
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Div', ['float', 'c255'], ['unit']),
        helper.make_node('Transpose', ['unit'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node('Shape', ['planes'], ['size_in']),
        helper.make_node('Slice', ['size_in', 'two', 'four'], ['rows_columns']),
        helper.make_node('Cast', ['rows_columns'], ['size_float'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['size_float', 'scale'], ['size_scaled']),
        helper.make_node('Ceil', ['size_scaled'], ['size_ceil']),
        helper.make_node('Cast', ['size_ceil'], ['size_small'], to=TensorProto.INT64),
        helper.make_node('Concat', ['batch_three', 'size_small'], ['resize_to'], axis=0),
        helper.make_node(
            'Resize', ['planes', '', '', 'resize_to'], ['small'], mode='linear',
            coordinate_transformation_mode='half_pixel',
        ),
        helper.make_node('Conv', ['small', 'weights'], ['mixed'], name='mix'),
        helper.make_node('Concat', ['batch_one', 'rows_columns'], ['resize_back'], axis=0),
        helper.make_node(
            'Resize', ['mixed', '', '', 'resize_back'], ['large'], mode='linear',
            coordinate_transformation_mode='half_pixel',
        ),
        helper.make_node('Squeeze', ['large', 'one'], ['mean']),
        helper.make_node('Mul', ['mean', 'to_grey'], ['grey_float']),
        helper.make_node('Round', ['grey_float'], ['grey_round']),
        helper.make_node('Cast', ['grey_round'], ['grey'], to=TensorProto.UINT8),
    ]
    constants = {
        'c255': np.float32(255), 'two': np.array([2]), 'four': np.array([4]),
        'scale': np.float32(scale), 'batch_three': np.array([1, 3]),
        'batch_one': np.array([1, 1]), 'one': np.array([1]), 'weights': weights,
        'to_grey': np.float32(255 / gain),
    }
    graph = helper.make_graph(
        nodes, 'blur',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('mean', TensorProto.FLOAT, [1, 'H', 'W']),
         helper.make_tensor_value_info('grey', TensorProto.UINT8, [1, 'H', 'W'])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    card = ModelCard(
        name=path.stem, task='blur', summary='mean of the channels',
        inputs=(TensorSpec('image', 'uint8', (1, -1, -1, 3), '1', 'RGB'),),
        outputs=(TensorSpec('mean', 'float32', (1, -1, -1), '1', f'0..{gain}'),
                 TensorSpec('grey', 'uint8', (1, -1, -1), '1', '0..255')),
        parameters=3, sha256=file_sha256(path),
    )
    write_card(card, card_path(path))
    return card


def write_deep_model(path: Path, *, layers: int = 6, channels: int = 16) -> ModelCard:
    """Write a chain of convolutions, ``soft f32 [1,H,W]`` = softmax-weighted mean of channels.

    Long enough for a build to be interrupted, and with both kinds of layers that half precision
    tells apart: convolutions in the middle, a head and a soft-argmax at the end.
    """
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['float', 'unit'], ['scaled']),
        helper.make_node('Transpose', ['scaled'], ['x0'], perm=[0, 3, 1, 2]),
    ]
    constants = {'unit': np.float32(1 / 255), 'axes': np.array([1]),
                 'values': np.arange(channels, dtype=np.float32).reshape(1, channels, 1, 1)}
    for index in range(layers):
        inputs = 3 if index == 0 else channels
        spread = (2 / (9 * inputs)) ** 0.5
        constants[f'w{index}'] = rng.normal(0, spread, (channels, inputs, 3, 3)).astype(np.float32)
        nodes.append(helper.make_node(
            'Conv', [f'x{index}', f'w{index}'], [f'y{index}'], pads=[1] * 4, name=f'conv{index}'))
        nodes.append(helper.make_node('Relu', [f'y{index}'], [f'x{index + 1}']))
    nodes += [
        helper.make_node('Softmax', [f'x{layers}'], ['weights'], axis=1),
        helper.make_node('Mul', ['weights', 'values'], ['weighted']),
        helper.make_node('ReduceSum', ['weighted', 'axes'], ['soft'], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, 'deep',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('soft', TensorProto.FLOAT, [1, 'H', 'W'])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    card = ModelCard(
        name=path.stem, task='deep',
        inputs=(TensorSpec('image', 'uint8', (1, -1, -1, 3)),),
        outputs=(TensorSpec('soft', 'float32', (1, -1, -1)),), sha256=file_sha256(path),
    )
    write_card(card, card_path(path))
    return card


@pytest.fixture
def deep_model(tmp_path: Path) -> Path:
    """Path of a chain of convolutions."""
    path = tmp_path / 'deep.onnx'
    write_deep_model(path)
    return path


@pytest.fixture
def rtx() -> ModuleType:
    """NVIDIA's builder, which needs no GPU; the test skips where it is not installed."""
    return pytest.importorskip('tensorrt_rtx', reason='pip install tensorrt-rtx-cu13')


@pytest.fixture
def blur_model(tmp_path: Path) -> Path:
    """Path of a model that halves, mixes and enlarges."""
    path = tmp_path / 'blur.onnx'
    write_blur_model(path)
    return path


@pytest.fixture
def make_model() -> Callable[..., ModelCard]:
    """The function that writes such a model."""
    return write_blur_model


@pytest.fixture
def make_deep_model() -> Callable[..., ModelCard]:
    """The function that writes a chain of convolutions."""
    return write_deep_model
