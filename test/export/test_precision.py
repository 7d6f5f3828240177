# SPDX-License-Identifier: Apache-2.0
"""fp16 and int8 files of a small network with the parts that matter: middle, head, soft-argmax."""

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.evaluation.model_inputs import model_inputs, read_input_frames
from perception_nodes.export.precision import calibration_inputs, export_precision
from perception_nodes.inference import open_runner
from perception_nodes.inference.model_card import (
    ModelCard,
    TensorSpec,
    check_model,
    file_sha256,
    write_card,
)
from perception_nodes.inference.tensorrt.engine_builder import EngineRequest, ensure_engine
from perception_nodes.types import PerceptionError

CHANNELS = 16


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Disparity-like: four convolutions over both images, softmax over 16, weighted mean."""
    rng = np.random.default_rng(0)
    constants = {'unit': np.float32(1 / 255), 'axes': np.array([1]),
                 'candidates': np.arange(CHANNELS, dtype=np.float32).reshape(1, -1, 1, 1)}
    nodes = []
    for side in ('left', 'right'):
        nodes += [
            helper.make_node('Cast', [side], [f'{side}_float'], to=TensorProto.FLOAT),
            helper.make_node('Mul', [f'{side}_float', 'unit'], [f'{side}_unit']),
            helper.make_node('Transpose', [f'{side}_unit'], [f'{side}_planes'], perm=[0, 3, 1, 2]),
        ]
    nodes.append(helper.make_node('Concat', ['left_planes', 'right_planes'], ['x0'], axis=1))
    for index in range(4):
        inputs = 6 if index == 0 else CHANNELS
        shape, spread = (CHANNELS, inputs, 3, 3), (2 / (9 * inputs)) ** 0.5
        constants[f'w{index}'] = rng.normal(0, spread, shape).astype(np.float32)
        constants[f'b{index}'] = rng.normal(0, 0.1, CHANNELS).astype(np.float32)
        nodes.append(helper.make_node(
            'Conv', [f'x{index}', f'w{index}', f'b{index}'], [f'y{index}'], pads=[1] * 4))
        nodes.append(helper.make_node('Relu', [f'y{index}'], [f'x{index + 1}']))
    nodes += [
        helper.make_node('Softmax', ['y3'], ['weights'], axis=1),
        helper.make_node('Mul', ['weights', 'candidates'], ['weighted']),
        helper.make_node('ReduceSum', ['weighted', 'axes'], ['disparity_px'], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, 'toy',
        [helper.make_tensor_value_info(side, TensorProto.UINT8, [1, 'H', 'W', 3])
         for side in ('left', 'right')],
        [helper.make_tensor_value_info('disparity_px', TensorProto.FLOAT, [1, 'H', 'W'])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(proto)
    path = tmp_path / 'models' / 'toy.onnx'
    path.parent.mkdir()
    path.write_bytes(proto.SerializeToString())
    write_card(ModelCard(
        'toy', 'stereo_depth', network='toy_net', parameters=7,
        inputs=tuple(TensorSpec(side, 'uint8', (1, -1, -1, 3)) for side in ('left', 'right')),
        outputs=(TensorSpec('disparity_px', 'float32', (1, -1, -1), 'px'),),
        training={'recipe': 'toy'}, results={'set': {'epe_px': 1.0}}, sha256=file_sha256(path),
    ), path.with_suffix('.json'))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six pairs of smooth images, the right one shifted."""
    rng = np.random.default_rng(1)
    for index in range(6):
        wide = cv2.resize(rng.integers(0, 256, (6, 10, 3), np.uint8), (72, 40))
        for side, window in (('left', slice(8, 72)), ('right', slice(0, 64))):
            path = tmp_path / 'images' / side / f'{index:03d}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), wide[:, window])
    return tmp_path / 'images'


def answers(model: Path, images: Path) -> np.ndarray:
    runner = open_runner(model, backend='onnxruntime')
    frames = list(read_input_frames(images))
    return np.stack([runner.run(inputs)['disparity_px']
                     for inputs in model_inputs(runner.card, frames)])


@pytest.mark.parametrize(('precision', 'tolerance_px'), [('fp16', 0.001), ('int8', 0.05)])
def test_another_precision_answers_nearly_the_same(
    model: Path, images: Path, tmp_path: Path, precision: str, tolerance_px: float
) -> None:
    path = export_precision(model, precision, tmp_path / 'out', images)
    assert path == tmp_path / 'out' / f'toy_{precision}.onnx'
    card, source = check_model(path), check_model(model)
    assert (card.name, card.precision, card.inputs) == (f'toy_{precision}', precision,
                                                        source.inputs)
    assert card.training['made_from'] == source.sha256
    assert card.training['recipe'] == 'toy'
    assert not card.results, 'measured with the other file'
    exact, near = answers(model, images), answers(path, images)
    assert exact.std() > 0.1
    error = np.abs(exact - near)
    assert 0 < error.mean() < tolerance_px


def test_int8_quantises_the_middle_only(model: Path, images: Path, tmp_path: Path) -> None:
    proto = onnx.load(export_precision(model, 'int8', tmp_path, images))
    integers = {t.name for t in proto.graph.initializer if t.data_type == TensorProto.INT8}
    assert any(name.startswith('w1') for name in integers)
    assert not any(name.startswith(('w3', 'candidates')) for name in integers)
    assert not [t.name for t in proto.graph.initializer if t.data_type == TensorProto.INT32]
    zero_points = [numpy_helper.to_array(t) for t in proto.graph.initializer
                   if t.name.endswith('zero_point')]
    assert zero_points
    assert all((value == 0).all() for value in zero_points), 'TensorRT reads symmetric int8 only'


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
def test_each_precision_builds_an_engine(
    model: Path, images: Path, tmp_path: Path, precision: str
) -> None:
    rtx: ModuleType = pytest.importorskip('tensorrt_rtx', reason='pip install tensorrt-rtx-cu13')
    assert rtx.__version__
    file = model
    if precision == 'int8':
        file = export_precision(model, precision, tmp_path, images)
    request = EngineRequest(
        str(file), {'left': (1, 40, 64, 3), 'right': (1, 40, 64, 3)}, precision, target='sm89',
        folder=str(tmp_path / 'engines'),
    )
    path, _ = ensure_engine(request)
    assert path.stat().st_size > 1000


def test_frames_are_spread_and_shrunk(model: Path, tmp_path: Path) -> None:
    for side in ('left', 'right'):
        for index in range(10):
            path = tmp_path / 'wide' / side / f'{index:02d}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((200, 1280, 3), index * 10, np.uint8))
    inputs = calibration_inputs(check_model(model), tmp_path / 'wide', 5)
    assert [int(entry['left'][0, 0, 0, 0]) for entry in inputs] == [0, 20, 40, 60, 80]
    assert inputs[0]['right'].shape == (1, 100, 640, 3)


def test_calibration_on_a_real_drive(model: Path, shared: Path) -> None:
    inputs = calibration_inputs(check_model(model), shared / 'bags' / 'kitti_06_stereo', 4)
    assert len(inputs) == 4
    assert inputs[0]['left'].shape[2] == 640
    assert (inputs[0]['left'] != inputs[0]['right']).any()


@pytest.mark.parametrize(('case', 'told'), [
    ('no frames named', 'int8 needs --calibration'),
    ('one camera', "wants 'right'"),
    ('nothing there', 'no_such'),
    ('already int8', 'is int8 already'),
    ('fp8', "'fp8' is neither"),
])
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    model: Path, images: Path, tmp_path: Path, case: str, told: str
) -> None:
    out = tmp_path / 'out'
    source = {'no frames named': None, 'one camera': images / 'left',
              'nothing there': tmp_path / 'no_such'}.get(case, images)
    if case == 'already int8':
        model = export_precision(model, 'int8', tmp_path / 'first', images)
    with pytest.raises(PerceptionError, match=told) as error:
        export_precision(model, 'fp8' if case == 'fp8' else 'int8', out, source)
    assert '\n' not in str(error.value)
    assert not out.exists()
