# SPDX-License-Identifier: Apache-2.0
"""What every file in models/ owes its users, whatever its task."""

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnx
import pytest

from perception_nodes.inference import open_runner
from perception_nodes.inference.model_card import ANY, ModelCard, check_model
from perception_nodes.inference.tensorrt.engine_builder import EngineRequest, ensure_engine
from perception_nodes.onnx_graph.half_precision import half_model
from perception_nodes.onnx_graph.static_model import fix_shapes

FOLDER = Path(__file__).resolve().parents[2] / 'models'
MODELS = sorted(FOLDER.glob('*.onnx'))
RELEASED = {'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'features',
            'place_recognition'}
SIZES_HW = ((128, 192), (97, 162))
FOLDER_LIMIT_BYTES = 30e6
each_model = pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)


def inputs_of(card: ModelCard, height: int, width: int) -> dict[str, np.ndarray]:
    """Smooth images that move a little from input to input; other numbers are ones."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (width + 8, height))
    inputs = {}
    for index, spec in enumerate(card.inputs):
        if spec.dtype == 'uint8':
            inputs[spec.name] = np.ascontiguousarray(wide[None, :, 4 * index:4 * index + width])
        else:
            shape = [1 if size == ANY else size for size in spec.shape]
            value = width if spec.unit == 'px' else 1
            inputs[spec.name] = np.full(shape, value, spec.dtype)
    return inputs


def test_there_is_a_model_for_every_task_and_all_are_small() -> None:
    assert {path.stem for path in MODELS} >= RELEASED
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < FOLDER_LIMIT_BYTES
    allowed = {'.onnx', '.json', '.md', ''}
    assert not [path for path in FOLDER.iterdir() if path.suffix not in allowed]


@each_model
def test_the_card_says_what_a_user_must_know(path: Path) -> None:
    card = check_model(path)
    assert card.name == path.stem
    assert card.summary
    assert card.network
    assert card.parameters > 0
    assert card.licence
    assert {'recipe', 'data', 'data_licence'} <= set(card.training)
    assert all(spec.unit and spec.meaning for spec in (*card.inputs, *card.outputs))


@each_model
def test_it_answers_as_its_card_says_at_any_size(path: Path) -> None:
    runner = open_runner(path, backend='onnxruntime', threads=1)
    for height, width in SIZES_HW:
        result = runner.run(inputs_of(runner.card, height, width))
        assert list(result) == [spec.name for spec in runner.card.outputs]
        again = runner.run(inputs_of(runner.card, height, width))
        for spec in runner.card.outputs:
            array = result[spec.name]
            assert array.dtype == np.dtype(spec.dtype)
            assert array.ndim == len(spec.shape)
            assert all(want in (ANY, size)
                       for want, size in zip(spec.shape, array.shape, strict=True))
            np.testing.assert_array_equal(array, again[spec.name])
            assert spec.dtype != 'float32' or not np.isinf(array).any()


@each_model
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_nvidia_builds_an_engine_of_it(
    path: Path, precision: str, rtx: ModuleType, tmp_path: Path
) -> None:
    card = check_model(path)
    if card.precision != 'fp32':
        pytest.skip(f'engines are made from fp32 files; this one is {card.precision}')
    shapes = {name: array.shape for name, array in inputs_of(card, *SIZES_HW[0]).items()}
    request = EngineRequest(str(path), shapes, precision, target='sm89', folder=str(tmp_path),
                            level=0)
    engine, _ = ensure_engine(request)
    assert engine.stat().st_size > 10_000


@each_model
def test_weights_stored_as_fp16_are_plain_where_engines_are_made(path: Path) -> None:
    shapes = {name: a.shape for name, a in inputs_of(check_model(path), *SIZES_HW[0]).items()}
    static = onnx.load_from_string(fix_shapes(path.read_bytes(), shapes))
    stored = {tensor.name: tensor.data_type for tensor in static.graph.initializer}
    weights = [node.input[1] for node in static.graph.node
               if node.op_type in ('Conv', 'ConvTranspose', 'Gemm')]
    assert len(weights) > 10
    if check_model(path).precision == 'fp32':
        assert {stored.get(name) for name in weights} == {onnx.TensorProto.FLOAT}
        assert onnx.TensorProto.FLOAT16 not in stored.values()


@each_model
def test_fp16_is_close_to_fp32(path: Path) -> None:
    """Median difference of every map, relative to its spread; metrics are compared elsewhere."""
    card = check_model(path)
    if card.precision != 'fp32':
        pytest.skip(f'it is {card.precision} itself')
    import onnxruntime

    inputs = inputs_of(card, *SIZES_HW[0])
    shapes = {name: array.shape for name, array in inputs.items()}
    static = fix_shapes(path.read_bytes(), shapes)
    answers = [
        onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider']).run(None, inputs)
        for model in (static, half_model(static))
    ]
    for spec, exact, near in zip(card.outputs, *answers, strict=True):
        assert near.dtype == exact.dtype
        if spec.dtype == 'float32':
            spread = max(float(np.nanstd(exact)), 1e-3)
            assert np.nanmedian(np.abs(exact - near)) < 0.02 * spread, spec.name
        else:
            assert np.mean(exact != near) < 0.02, spec.name
