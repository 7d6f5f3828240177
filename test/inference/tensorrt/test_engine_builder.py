# SPDX-License-Identifier: Apache-2.0
"""The real builder, real files, small models."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.inference.model_card import card_path
from perception_nodes.inference.tensorrt import cuda_runtime, engine_builder
from perception_nodes.inference.tensorrt.background_build import BackgroundBuild
from perception_nodes.inference.tensorrt.build_memory import gpu_memory
from perception_nodes.inference.tensorrt.engine_builder import (
    EngineRequest,
    _configure,
    ensure_engine,
    plan_engine,
)
from perception_nodes.inference.tensorrt.engine_cache import EngineCache, read_header
from perception_nodes.inference.tensorrt.gpu import Gpu
from perception_nodes.inference.tensorrt.library import load_tensorrt, make_logger
from perception_nodes.onnx_graph.half_precision import half_model, half_nodes
from perception_nodes.onnx_graph.static_model import fix_shapes
from perception_nodes.types import PerceptionError

SHAPE = {'image': (1, 24, 32, 3)}


def request(model: Path, precision: str = 'fp32', **changes: object) -> EngineRequest:
    fields = {'target': 'sm89', 'folder': str(model.parent / 'engines'), 'shapes': SHAPE}
    return EngineRequest(str(model), precision=precision, **{**fields, **changes})


def run(model: bytes, image: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    return session.run(None, {'image': image})


def test_a_static_graph_has_no_arithmetic_on_sizes_and_the_same_answer(blur_model: Path) -> None:
    model = blur_model.read_bytes()
    static = fix_shapes(model, SHAPE)
    operators = {node.op_type for node in onnx.load_from_string(static).graph.node}
    assert not operators & {'Shape', 'Slice', 'Ceil', 'Concat'}
    image = np.random.default_rng(0).integers(0, 256, SHAPE['image'], np.uint8)
    (mean, grey), (static_mean, static_grey) = run(model, image), run(static, image)
    np.testing.assert_allclose(static_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(static_grey.astype(int), grey, atol=1)
    with pytest.raises(PerceptionError, match='cannot have shape'):
        fix_shapes(model, {'image': (1, 24, 32, 4)})
    with pytest.raises(PerceptionError, match='needs a shape'):
        fix_shapes(model, {})


def test_half_precision_takes_the_middle_and_leaves_the_ends(deep_model: Path) -> None:
    model = deep_model.read_bytes()
    proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    assert half_nodes(proto) == [f'{kind}{index + (kind == "x")}' for index in range(5)
                                 for kind in ('y', 'x')]
    assert 'y2' not in half_nodes(proto, frozenset({'conv2'}))
    half = half_model(model)
    lowered = onnx.load_from_string(half)
    onnx.checker.check_model(lowered, full_check=True)
    stored = {tensor.name: tensor.data_type for tensor in lowered.graph.initializer}
    assert stored['w1_half'] == onnx.TensorProto.FLOAT16
    assert stored['w5'] == stored['values'] == onnx.TensorProto.FLOAT
    assert len(half) < 0.65 * len(model)
    image = np.random.default_rng(1).integers(0, 256, (1, 17, 23, 3), np.uint8)
    (exact,), (near,) = run(model, image), run(half, image)
    assert near.dtype == np.float32
    error = np.abs(near - exact).max()
    assert 0 < error < 0.02, 'fp16 must differ, and only a little'


def test_weights_beyond_half_range_stay(deep_model: Path) -> None:
    proto = onnx.load(deep_model)
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name == 'w2')
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0, 0, 0] = 1e6
    weights.CopyFrom(onnx.numpy_helper.from_array(values, 'w2'))
    assert 'y2' not in half_nodes(onnx.shape_inference.infer_shapes(proto))


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_an_engine_is_built_once(rtx: ModuleType, deep_model: Path, precision: str) -> None:
    phases: list[tuple[str, float]] = []
    asked = request(deep_model, precision)
    path, reason = ensure_engine(asked, lambda *step: phases.append(step) or True)
    assert reason.startswith('no engine of deep')
    plan = plan_engine(asked)
    assert EngineCache(asked.folder).load(plan.key)[:4] == b'vtrt'
    assert path == EngineCache(asked.folder).path(plan.key)
    fractions = [fraction for _, fraction in phases]
    assert len({phase for phase, _ in phases}) > 3
    assert 0 <= min(fractions) < 0.1
    assert 0.5 < max(fractions) <= 1
    again, reason = ensure_engine(asked, lambda *step: pytest.fail('it was built twice'))
    assert (again, reason) == (path, '')
    (path.parent / path.name).write_bytes(path.read_bytes()[:-50])
    _, reason = ensure_engine(asked)
    assert 'damaged' in reason
    assert EngineCache(asked.folder).load(plan.key)


def test_the_memory_that_an_engine_will_take_is_told(
    rtx: ModuleType, deep_model: Path, make_deep_model: Callable
) -> None:
    path, _ = ensure_engine(request(deep_model))
    small = read_header(path).header.facts
    bytes_before = deep_model.stat().st_size
    assert small['engine_gpu_mb'] > bytes_before / 2**20
    make_deep_model(deep_model, channels=128)
    path, _ = ensure_engine(request(deep_model))
    more_mb = (deep_model.stat().st_size - bytes_before) / 2**20
    assert read_header(path).header.facts['engine_gpu_mb'] - small['engine_gpu_mb'] > 0.9 * more_mb


def test_memory_is_read_from_the_log_and_unknown_without_it() -> None:
    notes = ['Total Weights Memory: 3145728 bytes', 'Total Activation Memory: 1048576 bytes',
             'Total Device Persistent Memory: 524288 bytes',
             '[MemUsageStats] Peak memory usage of TRT CPU/GPU memory allocators: CPU 9 MiB, '
             'GPU 120 MiB']
    assert gpu_memory(notes) == {'engine_gpu_mb': 4.5, 'build_gpu_mb': 120.0}
    assert gpu_memory(['something else']) == {'engine_gpu_mb': None, 'build_gpu_mb': None}


def test_the_graph_that_is_built_has_the_asked_types(rtx: ModuleType, deep_model: Path) -> None:
    half, _ = ensure_engine(request(deep_model, 'fp16'))
    full, _ = ensure_engine(request(deep_model, 'fp32'))
    assert half.stat().st_size < full.stat().st_size


def test_one_engine_for_all_gpus_from_ampere_on(rtx: ModuleType, deep_model: Path) -> None:
    one, many = request(deep_model), request(deep_model, hardware_compatible=True)
    path, _ = ensure_engine(many)
    assert path.stat().st_size > ensure_engine(one)[0].stat().st_size, 'it says for which GPUs'
    key = plan_engine(many).key
    assert (key.compute_capability, key.gpu_name) == ('8.0+', '')
    for target, served in (('sm86', True), ('sm120', True), ('sm75', False)):
        assert key.serves(plan_engine(request(deep_model, target=target)).key) == served


@pytest.mark.parametrize(('options', 'flags'), [
    ({}, set()),
    ({'version_compatible': True}, {'VERSION_COMPATIBLE'}),
    ({'stripped': True}, {'STRIP_PLAN', 'REFIT_IDENTICAL'}),
])
def test_options_reach_the_builder(
    rtx: ModuleType, deep_model: Path, options: dict[str, bool], flags: set[str]
) -> None:
    plan = plan_engine(request(deep_model, workspace_mb=64, level=1))
    asked = dataclasses.replace(plan.request, **options)
    config = rtx.Builder(make_logger(plan.library, [])).create_builder_config()
    _configure(rtx, config, dataclasses.replace(plan, request=asked))
    told = {name for name in ('VERSION_COMPATIBLE', 'STRIP_PLAN', 'REFIT_IDENTICAL', 'REFIT')
            if config.get_flag(getattr(rtx.BuilderFlag, name))}
    assert told == flags
    assert config.get_memory_pool_limit(rtx.MemoryPoolType.WORKSPACE) == 64 << 20
    assert config.builder_optimization_level == 1
    assert config.num_compute_capabilities == 1
    assert config.get_compute_capability(0) == rtx.ComputeCapability.SM89


@pytest.mark.parametrize(('option', 'told'), [
    ('version_compatible', 'no version-compatible engines: build them with tensorrt'),
    ('stripped', 'is built on a machine with a GPU'),
])
def test_an_option_that_the_library_lacks_is_said_before_building(
    rtx: ModuleType, deep_model: Path, option: str, told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_builder, 'probe_gpu', lambda index: None)
    with pytest.raises(PerceptionError, match=told):
        plan_engine(request(deep_model, **{option: True}))


def test_it_builds_on_the_device_that_was_named(
    rtx: ModuleType, deep_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    monkeypatch.setattr(engine_builder, 'probe_gpu',
                        lambda index: Gpu(index, 'RTX', '8.9', 1 << 34, '13.0'))
    monkeypatch.setattr(cuda_runtime, 'Cuda', used.append)
    for number in (0, 2):
        plan = plan_engine(request(deep_model, gpu=number))
        assert plan.gpu.index == number
        engine_builder._use_device(plan)
    assert used == [2], 'the first one is taken without being asked for'


def test_cancelling_leaves_nothing(rtx: ModuleType, deep_model: Path) -> None:
    with pytest.raises(PerceptionError, match='cancelled'):
        ensure_engine(request(deep_model), lambda phase, fraction: fraction < 0.3)
    assert not [path.name for path in (deep_model.parent / 'engines').iterdir()]


def test_what_cannot_be_built_is_one_line(rtx: ModuleType, deep_model: Path) -> None:
    with pytest.raises(PerceptionError, match=r'not 9\.9'):
        plan_engine(request(deep_model, target='sm99'))
    with pytest.raises(PerceptionError, match='holds fp32'):
        plan_engine(request(deep_model, 'int8'))
    proto = onnx.load(deep_model)
    proto.graph.node[-1].op_type = 'NoSuchOperator'
    proto.graph.node[-1].domain = 'nowhere'
    deep_model.write_bytes(proto.SerializeToString())
    card = json.loads(card_path(deep_model).read_text())
    from perception_nodes.inference.model_card import file_sha256

    card_path(deep_model).write_text(json.dumps({**card, 'sha256': file_sha256(deep_model)}))
    with pytest.raises(PerceptionError, match='cannot be made static') as error:
        ensure_engine(request(deep_model))
    assert '\n' not in str(error.value)


def test_the_library_that_needs_a_gpu_is_not_touched_without_one() -> None:
    with pytest.raises(PerceptionError, match=r'needs a GPU|is not installed'):
        load_tensorrt(None, 'tensorrt')
    with pytest.raises(PerceptionError, match='flavour'):
        load_tensorrt(None, 'trt')


def test_requests_survive_the_way_to_the_other_process(deep_model: Path) -> None:
    asked = request(deep_model, 'fp16', workspace_mb=100, version_compatible=True)
    assert decode_json(to_json(asked), EngineRequest) == asked
    assert asked.options == ('level3', 'workspace100', 'version_compatible')


def test_another_process_builds_at_the_lowest_priority(
    rtx: ModuleType, deep_model: Path
) -> None:
    build = BackgroundBuild(request(deep_model))
    niceness = set()
    assert build.wait(lambda build: niceness.add(priority_of(build.process.pid))) == ''
    assert niceness - {None} == {19}
    assert build.fraction == 1.0
    assert build.reason.startswith('no engine of deep')
    assert EngineCache(deep_model.parent / 'engines').load(plan_engine(request(deep_model)).key)


def test_another_process_says_why_it_cannot(rtx: ModuleType, deep_model: Path) -> None:
    card_path(deep_model).unlink()
    build = BackgroundBuild(request(deep_model))
    assert 'is missing' in build.wait()


@pytest.mark.parametrize('how', ['kill', 'terminate'])
def test_a_process_that_dies_in_the_middle_leaves_nothing_and_the_next_one_builds(
    rtx: ModuleType, tmp_path: Path, make_deep_model: Callable, how: str
) -> None:
    model = tmp_path / 'long.onnx'
    make_deep_model(model, layers=300)
    build = BackgroundBuild(request(model))
    seen: list[float] = []

    def listener(build: BackgroundBuild) -> None:
        seen.append(build.fraction)
        if build.fraction > 0.1 and build.process.poll() is None:
            getattr(build.process, how)()

    assert build.wait(listener)
    assert 0.1 < max(seen) < 1.0
    assert not list((tmp_path / 'engines').glob('*.engine'))
    path, _ = ensure_engine(request(model))
    assert EngineCache(tmp_path / 'engines').load(plan_engine(request(model)).key)
    left = [path.name for path in (tmp_path / 'engines').iterdir()]
    assert [name for name in left if not name.endswith('.timings')] == [path.name]


def priority_of(process: int) -> int | None:
    """Niceness of a process; None if it has just ended."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpriority(os.PRIO_PROCESS, process)
    return None
