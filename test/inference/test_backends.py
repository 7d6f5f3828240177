# SPDX-License-Identifier: Apache-2.0
"""Which backend is taken, the optional ones, and the GPU's code against the real libraries."""

import ast
import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from perception_nodes.inference import BACKENDS, onnx_runner, open_runner
from perception_nodes.inference.tensorrt import cuda_runtime, gpu, stripped_engine
from perception_nodes.inference.tensorrt import runner as tensorrt_runner
from perception_nodes.types import PerceptionError

IMAGE = np.random.default_rng(2).integers(0, 256, (1, 20, 30, 3), np.uint8)
NO_GPU = gpu.probe_gpu() is None
without_gpu = pytest.mark.skipif(not NO_GPU, reason='this machine has a GPU')


def test_auto_without_a_gpu_is_onnxruntime(blur_model: Path) -> None:
    runner = open_runner(blur_model)
    assert runner.state().engine == ('none' if NO_GPU else 'waiting')
    assert runner.backend.startswith('onnxruntime')
    runner.close()


@without_gpu
@pytest.mark.parametrize(
    'backend', sorted(set(BACKENDS) - {'auto', 'onnxruntime', 'openvino'})
)
def test_a_backend_that_is_not_there_says_what_to_do(blur_model: Path, backend: str) -> None:
    with pytest.raises(PerceptionError, match=r'use onnxruntime|choose backend onnxruntime'):
        open_runner(blur_model, backend=backend)


@pytest.mark.parametrize(('backend', 'expected'), [
    ('onnxruntime', [('CPUExecutionProvider', {})]),
    ('onnxruntime_cuda', [
        ('CUDAExecutionProvider', {'device_id': '1', 'gpu_mem_limit': str(64 << 20)}),
        ('CPUExecutionProvider', {}),
    ]),
    ('onnxruntime_tensorrt', [
        ('TensorrtExecutionProvider', {'device_id': '1', 'trt_max_workspace_size': str(64 << 20)}),
        ('CUDAExecutionProvider', {'device_id': '1', 'gpu_mem_limit': str(64 << 20)}),
        ('CPUExecutionProvider', {}),
    ]),
])
def test_providers_get_their_device_memory_threads_and_spinning(
    blur_model: Path, backend: str, expected: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Session(onnx_runner.ort.InferenceSession):
        def __init__(self, content, options, providers):
            asked.append((providers, options))
            super().__init__(content, options, providers=['CPUExecutionProvider'])

        def get_providers(self):
            return [name for name, _ in expected]

    known = ['CPUExecutionProvider', 'CUDAExecutionProvider', 'TensorrtExecutionProvider']
    monkeypatch.setattr(onnx_runner.ort, 'get_available_providers', lambda: known)
    monkeypatch.setattr(onnx_runner.ort, 'InferenceSession', Session)
    open_runner(blur_model, backend=backend, gpu=1, memory_limit_mb=64, threads=3, spinning=True)
    ((providers, options),) = asked
    assert providers == expected
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '1'


def test_openvino_gives_the_same_answer(blur_model: Path, deep_model: Path) -> None:
    pytest.importorskip('openvino')
    for model in (blur_model, deep_model):
        expected = open_runner(model, backend='onnxruntime').run({'image': IMAGE})
        runner = open_runner(model, backend='openvino')
        for image in (IMAGE, np.ascontiguousarray(IMAGE[:, :11, :17])):
            expected = open_runner(model, backend='onnxruntime').run({'image': image})
            result = runner.run({'image': image})
            for name, array in expected.items():
                assert result[name].dtype == array.dtype
                tolerance = 1 if array.dtype == np.uint8 else 2e-5
                np.testing.assert_allclose(
                    result[name].astype(float), array, rtol=0, atol=tolerance
                )
        assert runner.backend.startswith('openvino')
        runner.close()
        with pytest.raises(PerceptionError, match='was closed'):
            runner.run({'image': IMAGE})


def attributes_of(module: ModuleType, owner: str) -> set[str]:
    """Names N for which the module's source says ``owner.N`` (owner: 'api' or 'self._engine')."""
    names = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(owner):
            names.add(node.attr)
    return names


def test_every_cuda_call_exists_in_the_bindings() -> None:
    api = pytest.importorskip('cuda.bindings.runtime', reason='pip install cuda-python')
    used = attributes_of(tensorrt_runner, 'api') | attributes_of(cuda_runtime, 'api')
    assert {'cudaMalloc', 'cudaGraphLaunch', 'cudaMemcpyAsync'} <= used
    missing = [name for name in used if not hasattr(api, name)]
    assert not missing
    assert hasattr(api.cudaMemcpyKind, 'cudaMemcpyHostToDevice')
    assert hasattr(api.cudaStreamCaptureMode, 'cudaStreamCaptureModeThreadLocal')


def test_every_tensorrt_call_exists_in_the_library(rtx: ModuleType) -> None:
    for owner, kind in (('_engine', rtx.ICudaEngine), ('_context', rtx.IExecutionContext),
                        ('_runtime', rtx.Runtime), ('trt', rtx)):
        used = attributes_of(tensorrt_runner, owner)
        assert used, owner
        missing = [name for name in used if not hasattr(kind, name)]
        assert not missing, owner


def test_every_call_that_puts_weights_in_exists_in_the_library(rtx: ModuleType) -> None:
    for owner, kind in (('refitter', rtx.Refitter), ('parser', rtx.OnnxParserRefitter),
                        ('trt', rtx)):
        used = attributes_of(stripped_engine, owner)
        assert used, owner
        assert not [name for name in used if not hasattr(kind, name)], owner


@without_gpu
def test_cuda_without_a_device_is_one_line() -> None:
    pytest.importorskip('cuda.bindings.runtime', reason='pip install cuda-python')
    from perception_nodes.inference.runner import EngineFailedError

    with pytest.raises(EngineFailedError, match='cudaSetDevice on GPU 0: cudaError'):
        cuda_runtime.Cuda(0)
