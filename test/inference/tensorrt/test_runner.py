# SPDX-License-Identifier: Apache-2.0
"""The order of what the runner asks of CUDA, against a device that is played in host memory.

This is no substitute for a GPU: it shows that buffers, copies, capture, clean-up and failure go as
they should, with the status codes and return tuples of the real bindings. What the kernels do is
played by ONNX Runtime on the same memory.
"""

import ctypes
import dataclasses
import types
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.inference.model_card import load_model
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.runner import EngineFailedError
from perception_nodes.inference.tensorrt import cuda_runtime
from perception_nodes.inference.tensorrt.engine_builder import (
    EnginePlan,
    EngineRequest,
    typed_model,
)
from perception_nodes.inference.tensorrt.engine_cache import StaleEngineError
from perception_nodes.inference.tensorrt.engine_key import EngineKey
from perception_nodes.inference.tensorrt.library import TensorrtLibrary
from perception_nodes.inference.tensorrt.output_slots import SLOTS
from perception_nodes.inference.tensorrt.runner import TensorrtRunner
from perception_nodes.types import PerceptionError

SHAPE = (1, 10, 14, 3)
RNG = np.random.default_rng(3)


class Status(IntEnum):
    """The results that matter."""

    success = 0
    cudaErrorMemoryAllocation = 2  # noqa: N815
    cudaErrorDeviceLost = 46  # noqa: N815


class FakeCuda:
    """cuda.bindings.runtime, as far as the runner uses it."""

    cudaMemcpyKind = types.SimpleNamespace(  # noqa: N815
        cudaMemcpyHostToDevice='upload', cudaMemcpyDeviceToHost='download')
    cudaStreamCaptureMode = types.SimpleNamespace(  # noqa: N815
        cudaStreamCaptureModeThreadLocal=1)
    cudaStreamNonBlocking = 1  # noqa: N815

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.recording: list[Callable[[], None]] | None = None
        self.done: list[str] = []
        self.lost = False
        self.free_memory = 1 << 30
        self.graphs = self.streams = 0

    def status(self) -> Status:
        return Status.cudaErrorDeviceLost if self.lost else Status.success

    def issue(self, name: str, work: Callable[[], None]) -> None:
        """Do it now, or while a graph is recorded, when it is launched."""
        def do() -> None:
            self.done.append(name)
            work()

        if self.recording is None:
            do()
        else:
            self.recording.append(do)

    def cudaSetDevice(self, gpu: int) -> tuple:  # noqa: N802
        return (self.status(),)

    def cudaMemGetInfo(self) -> tuple:  # noqa: N802
        return self.status(), self.free_memory, 1 << 33

    def cudaMalloc(self, size: int) -> tuple:  # noqa: N802
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return self.status(), ctypes.addressof(block)

    cudaMallocHost = cudaMalloc  # noqa: N815

    def cudaFree(self, address: int) -> tuple:  # noqa: N802
        del self.memory[address]
        return (self.status(),)

    cudaFreeHost = cudaFree  # noqa: N815

    def cudaMemcpyAsync(  # noqa: N802
        self, to: int, source: int, size: int, kind: str, stream: int
    ) -> tuple:
        self.issue(kind, lambda: ctypes.memmove(to, source, size) and None)
        return (self.status(),)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple:  # noqa: N802
        self.streams += 1
        return self.status(), 77

    def cudaStreamSynchronize(self, stream: int) -> tuple:  # noqa: N802
        return (self.status(),)

    def cudaStreamDestroy(self, stream: int) -> tuple:  # noqa: N802
        self.streams -= 1
        return (self.status(),)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple:  # noqa: N802
        self.recording = []
        return (self.status(),)

    def cudaStreamEndCapture(self, stream: int) -> tuple:  # noqa: N802
        recorded, self.recording = self.recording, None
        self.graphs += 1
        return self.status(), recorded

    def cudaGraphInstantiate(self, graph: list, flags: int) -> tuple:  # noqa: N802
        self.graphs += 1
        return self.status(), list(graph)

    def cudaGraphDestroy(self, graph: list) -> tuple:  # noqa: N802
        self.graphs -= 1
        return (self.status(),)

    cudaGraphExecDestroy = cudaGraphDestroy  # noqa: N815

    def cudaGraphLaunch(self, graph: list, stream: int) -> tuple:  # noqa: N802
        for work in graph:
            work()
        return (self.status(),)


class FakeEngine:
    """An engine and its context over an ONNX model."""

    device_memory_size_v2 = 5 << 20

    def __init__(self, cuda: FakeCuda, model: OnnxRunner) -> None:
        self.cuda, self.model = cuda, model
        self.specs = {spec.name: spec for spec in (*model.card.inputs, *model.card.outputs)}
        self.num_io_tensors = len(self.specs)
        self.addresses: dict[str, int] = {}
        self.refuses_capture = False

    def get_tensor_name(self, index: int) -> str:
        return list(self.specs)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return SHAPE if name == 'image' else SHAPE[:3]

    def get_tensor_dtype(self, name: str) -> str:
        return self.specs[name].dtype

    def create_execution_context(self) -> 'FakeEngine':
        return self

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def is_stream_capturable(self, stream: int) -> bool:
        return not self.refuses_capture

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 77
        self.cuda.issue('kernels', self._kernels)
        return not self.cuda.lost

    def _kernels(self) -> None:
        def view(name: str) -> np.ndarray:
            dtype, shape = np.dtype(self.specs[name].dtype), self.get_tensor_shape(name)
            size = int(np.prod(shape)) * dtype.itemsize
            raw = (ctypes.c_uint8 * size).from_address(self.addresses[name])
            return np.ctypeslib.as_array(raw).view(dtype).reshape(shape)

        for name, array in self.model.run({'image': view('image').copy()}).items():
            view(name)[...] = array


class FakeRefitter:
    """Refitter and its ONNX parser in one, as far as weights are put in with them."""

    num_errors = 1

    def __init__(self, missing: list[str]) -> None:
        self.missing, self.given, self.done = missing, b'', False

    def refit_from_bytes(self, model: bytes) -> bool:
        self.given = model
        return True

    def get_missing_weights(self) -> list[str]:
        return self.missing

    def refit_cuda_engine(self) -> bool:
        self.done = True
        return True

    def get_error(self, index: int) -> Any:
        return types.SimpleNamespace(desc=lambda: 'not found')


class World:
    """A plan for the model, the played device and the played library."""

    def __init__(self, path: Path) -> None:
        self.cuda = FakeCuda()
        self.engine: FakeEngine | None = FakeEngine(self.cuda, OnnxRunner(path))
        card, content = load_model(path)
        module = types.SimpleNamespace(
            ILogger=type('ILogger', (), {'WARNING': 2}), nptype=np.dtype,
            Runtime=lambda logger: types.SimpleNamespace(
                deserialize_cuda_engine=lambda plan: self.engine),
        )
        request = EngineRequest(str(path), {'image': SHAPE}, 'fp32')
        key = EngineKey(card.name, card.sha256, 'tensorrt', '10.3', '8.7', 'Orin', 'fp32',
                        (('image', SHAPE),))
        self.plan = EnginePlan(request, card, content, TensorrtLibrary('tensorrt', '10.3', module),
                               None, key)


@pytest.fixture
def world(blur_model: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(blur_model)
    monkeypatch.setattr(cuda_runtime, 'load_cuda', lambda: made.cuda)
    return made


def picture() -> np.ndarray:
    return RNG.integers(0, 256, SHAPE, np.uint8)


@pytest.mark.parametrize('capture', ['captured', 'not captured', 'refused by the engine'])
def test_answers_are_the_models_and_nothing_needless_is_copied(
    world: World, blur_model: Path, capture: str
) -> None:
    world.engine.refuses_capture = capture.startswith('refused')
    runner = TensorrtRunner(world.plan, b'plan', cuda_graph=capture != 'not captured')
    expected = OnnxRunner(blur_model)
    kept = []
    for _ in range(3):
        image = picture()
        world.cuda.done.clear()
        result = runner.run({'image': image}, ['grey'])
        assert world.cuda.done == ['upload', 'kernels', 'download']
        np.testing.assert_array_equal(result['grey'], expected.run({'image': image})['grey'])
        kept.append((image, result['grey']))
    for image, grey in kept:  # a result is the caller's: later frames do not overwrite it
        np.testing.assert_array_equal(grey, expected.run({'image': image})['grey'])
    assert set(runner.run({'image': image})) == {'mean', 'grey'}
    assert runner.state().engine == 'ready'
    assert 'tensorrt 10.3 fp32' in runner.backend
    runner.close()


def test_no_memory_is_asked_for_while_running_and_all_is_given_back(world: World) -> None:
    runner = TensorrtRunner(world.plan, b'plan')
    held = set(world.cuda.memory)
    assert len(held) == 6 + 2 * SLOTS, 'three tensors, on both sides, and what is handed out'
    addresses = {runner.run({'image': picture()})['mean'].ctypes.data for _ in range(3 * SLOTS)}
    assert addresses <= held, 'results are the page-locked memory itself'
    assert set(world.cuda.memory) == held
    runner.close()
    runner.close()
    assert (world.cuda.memory, world.cuda.graphs, world.cuda.streams) == ({}, 0, 0)
    with pytest.raises(PerceptionError, match='was closed'):
        runner.run({'image': picture()})


def test_what_a_caller_holds_never_changes_however_much_it_is(
    world: World, blur_model: Path
) -> None:
    runner, expected = TensorrtRunner(world.plan, b'plan'), OnnxRunner(blur_model)
    images = [picture() for _ in range(2 * SLOTS)]
    kept = [runner.run({'image': image})['mean'][0, 2:] for image in images]  # only a view
    places = {view.ctypes.data for view in kept}
    assert len(places) == len(kept)
    del kept[1]
    freed = places - {view.ctypes.data for view in kept}
    del images[1]
    again = runner.run({'image': images[0]})['mean'][0, 2:]
    assert {again.ctypes.data} == freed, 'the one that was let go'
    for image, view in zip(images, kept, strict=True):
        np.testing.assert_array_equal(view, expected.run({'image': image})['mean'][0, 2:])
    runner.close()


def test_a_result_outlives_its_runner(world: World, blur_model: Path) -> None:
    runner, image = TensorrtRunner(world.plan, b'plan'), picture()
    result = runner.run({'image': image}, ['mean'])
    runner.close()
    assert len(world.cuda.memory) == 1
    expected = OnnxRunner(blur_model).run({'image': image})
    np.testing.assert_array_equal(result['mean'], expected['mean'])
    del result
    assert world.cuda.memory == {}


def test_another_size_is_refused(world: World) -> None:
    runner = TensorrtRunner(world.plan, b'plan')
    with pytest.raises(PerceptionError, match=r'as \[1, 10, 14, 3\], not \[1, 5, 14, 3\]'):
        runner.run({'image': picture()[:, :5]})


def test_a_lost_device_is_an_engine_failure_by_name(world: World) -> None:
    runner = TensorrtRunner(world.plan, b'plan')
    world.cuda.lost = True
    with pytest.raises(EngineFailedError, match='cudaSetDevice on GPU 0: cudaErrorDeviceLost'):
        runner.run({'image': picture()})
    runner.close()


def test_too_little_memory_fails_before_anything_is_held(world: World) -> None:
    with pytest.raises(EngineFailedError, match='needs 5 MB, the limit is 4 MB'):
        TensorrtRunner(world.plan, b'plan', memory_limit_mb=4)
    world.cuda.free_memory = 1 << 20
    with pytest.raises(EngineFailedError, match='needs 5 MB more, 1 MB are free'):
        TensorrtRunner(world.plan, b'plan')
    assert (world.cuda.memory, world.cuda.streams) == ({}, 0)


@pytest.mark.parametrize('enough', [3, 8])
def test_memory_that_runs_out_half_way_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    allocate, calls = world.cuda.cudaMalloc, []

    def allocate_some(size: int) -> tuple:
        calls.append(size)
        return allocate(size) if len(calls) <= enough else (Status.cudaErrorMemoryAllocation, 0)

    monkeypatch.setattr(world.cuda, 'cudaMalloc', allocate_some)
    monkeypatch.setattr(world.cuda, 'cudaMallocHost', allocate_some)
    with pytest.raises(EngineFailedError, match='cudaErrorMemoryAllocation'):
        TensorrtRunner(world.plan, b'plan')
    assert (world.cuda.memory, world.cuda.streams) == ({}, 0)


@pytest.mark.parametrize('missing', [[], ['weights']])
def test_a_stripped_engine_gets_the_weights_of_the_static_graph(
    world: World, missing: list[str]
) -> None:
    refitter, trt = FakeRefitter(missing), world.plan.library.module
    trt.Refitter = lambda engine, logger: refitter
    trt.OnnxParserRefitter = lambda played, logger: refitter
    key = dataclasses.replace(world.plan.key, options=('level3', 'stripped'))
    plan = dataclasses.replace(world.plan, key=key)
    if missing:
        with pytest.raises(StaleEngineError, match="not found; no weights 'weights'"):
            TensorrtRunner(plan, b'plan')
        assert not refitter.done
        assert (world.cuda.memory, world.cuda.streams) == ({}, 0)
        return
    runner = TensorrtRunner(plan, b'plan')
    assert refitter.done
    assert refitter.given == typed_model(plan)
    runner.close()


def test_an_engine_that_the_library_refuses_is_stale(world: World) -> None:
    world.engine = None
    with pytest.raises(StaleEngineError, match='refused by TensorRT'):
        TensorrtRunner(world.plan, b'plan')
