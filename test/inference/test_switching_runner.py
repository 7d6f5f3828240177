# SPDX-License-Identifier: Apache-2.0
"""Hand-over with the real builder, cache and processes; only the GPU's part is played by the CPU.

The engine is built for a named compute capability, its bytes are checked when it is opened, and
ONNX Runtime answers in its place with a model that doubles every value, so that each answer shows
which of the two gave it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.runner import EngineFailedError, Runner
from perception_nodes.inference.switching_runner import SwitchingRunner
from perception_nodes.inference.tensorrt.engine_builder import (
    EnginePlan,
    EngineRequest,
    plan_engine,
)
from perception_nodes.inference.tensorrt.engine_cache import EngineCache, StaleEngineError
from perception_nodes.types import PerceptionError

IMAGE = np.full((1, 24, 32, 3), 51, np.uint8)  # mean 0.4 from the fallback, 0.8 from the engine
FALLBACK, ENGINE = np.float32(0.4), np.float32(0.8)


class Bench:
    """A switching runner and the knobs of its world."""

    def __init__(self, folder: Path, make_model: Callable, wait: bool = False) -> None:
        self.model, self.double = folder / 'blur.onnx', folder / 'double.onnx'
        make_model(self.model, gain=2.0)
        make_model(self.double, gain=4.0)
        self.engines = folder / 'engines'
        self.opened: list[bytes] = []
        self.refuse = 0
        self.lost: Exception | None = None
        self.breaks: Exception | None = None
        self.runner = SwitchingRunner(OnnxRunner(self.model), self.request,
                                      self.open_engine, wait=wait)

    def request(self, shapes: Mapping[str, tuple[int, ...]]) -> EngineRequest:
        return EngineRequest(str(self.model), dict(shapes), 'fp32', target='sm89',
                             folder=str(self.engines))

    def open_engine(self, plan: EnginePlan, content: bytes) -> Runner:
        if self.breaks is not None:
            raise self.breaks
        if self.refuse:
            self.refuse -= 1
            raise StaleEngineError('refused by the library')
        assert content[:4] == b'vtrt'
        self.opened.append(content)
        bench = self

        class EngineRunner(OnnxRunner):
            def run(self, inputs, outputs=None):
                if bench.lost is not None:
                    raise bench.lost
                return super().run(inputs, outputs)

        runner = EngineRunner(self.double)
        runner.backend = 'engine'
        return runner

    def mean(self, image: np.ndarray = IMAGE) -> np.float32:
        return self.runner.run({'image': image}, ['mean'])['mean'].flat[0]


@pytest.fixture
def bench(tmp_path: Path, make_model: Callable, rtx: ModuleType) -> Iterator[Bench]:
    built = Bench(tmp_path, make_model)
    yield built
    built.runner.close()


def test_it_serves_at_once_and_changes_over_without_losing_a_frame(bench: Bench) -> None:
    assert bench.runner.state().engine == 'waiting'
    assert not bench.runner.wait(), 'nothing was asked for'
    start = time.monotonic()
    assert np.isclose(bench.mean(), FALLBACK)
    assert bench.runner.state().engine in ('looking', 'building'), 'it waited for the engine'
    answers, stages = [], set()
    while not answers or np.isclose(answers[-1], FALLBACK):
        time.sleep(0.01)  # as a camera does; the build runs at the lowest priority
        answers.append(bench.mean())
        stages.add(bench.runner.state().engine)
        assert time.monotonic() - start < 60
    assert all(np.isclose(answer, FALLBACK) for answer in answers[:-1])
    assert np.isclose(answers[-1], ENGINE)
    assert {'building', 'ready'} <= stages
    state = bench.runner.state()
    assert (state.serving, state.progress, state.healthy) == ('engine', 1.0, True)
    assert state.engine_key == plan_engine(bench.request({'image': IMAGE.shape})).key.digest


def test_offline_the_first_frame_waits_for_the_engine(
    tmp_path: Path, make_model: Callable, rtx: ModuleType
) -> None:
    patient = Bench(tmp_path, make_model, wait=True)
    assert np.isclose(patient.mean(), ENGINE)
    patient.runner.prepare({'image': (1, 16, 16, 3)})
    for width in (24, 40, 32):  # more sizes than it keeps
        assert np.isclose(patient.mean(np.full((1, 24, width, 3), 51, np.uint8)), ENGINE)
    assert len(patient.opened) == 5, 'the oldest was given up and loaded again'
    patient.lost = EngineFailedError('gone')
    assert np.isclose(patient.mean(), FALLBACK)
    patient.runner.close()


def test_a_good_engine_is_loaded_and_not_built(bench: Bench, make_model: Callable) -> None:
    bench.mean()
    assert bench.runner.wait(60)
    before = sorted(path.stat().st_mtime_ns for path in bench.engines.glob('*.engine'))
    again = Bench(bench.model.parent, make_model)
    again.mean()
    assert again.runner.wait(60)
    assert np.isclose(again.mean(), ENGINE)
    assert sorted(path.stat().st_mtime_ns for path in bench.engines.glob('*.engine')) == before
    again.runner.close()


@pytest.mark.parametrize('damage', ['cut', 'refused'])
def test_a_bad_engine_is_rebuilt_and_the_reason_told(
    bench: Bench, make_model: Callable, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.mean()
    assert bench.runner.wait(60)
    (path,) = bench.engines.glob('*.engine')
    if damage == 'cut':
        path.write_bytes(path.read_bytes()[:-1])
    again = Bench(bench.model.parent, make_model)
    again.refuse = int(damage == 'refused')
    caplog.clear()
    again.mean()
    assert again.runner.wait(60)
    told = [record.message for record in caplog.records if record.levelname == 'WARNING']
    assert len(told) == 1
    assert ('damaged' if damage == 'cut' else 'refused by the library') in told[0]
    key = plan_engine(bench.request({'image': IMAGE.shape})).key
    assert EngineCache(bench.engines).load(key) == again.opened[-1]
    again.runner.close()


@pytest.mark.parametrize('error', [
    EngineFailedError('cudaErrorDevicesUnavailable'), RuntimeError('out of memory'), MemoryError(),
])
def test_a_lost_device_falls_back_in_the_same_frame(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    bench.mean()
    assert bench.runner.wait(60)
    assert np.isclose(bench.mean(), ENGINE)
    bench.lost = error
    assert np.isclose(bench.mean(), FALLBACK)
    state = bench.runner.state()
    assert (state.engine, state.healthy) == ('failed', False)
    assert (str(error) or 'MemoryError') in state.detail
    assert 'onnxruntime' in state.serving
    assert [record.levelname for record in caplog.records].count('ERROR') == 1
    assert np.isclose(bench.mean(), FALLBACK)
    assert len(bench.opened) == 1, 'a device that failed is not tried at every frame'


def test_an_engine_that_cannot_be_built_leaves_the_fallback(bench: Bench) -> None:
    bench.engines.write_text('a file where the folder should be')
    assert np.isclose(bench.mean(), FALLBACK)
    assert not bench.runner.wait(60)
    assert 'cannot write engines' in bench.runner.state().detail
    assert np.isclose(bench.mean(), FALLBACK)


def test_a_library_that_throws_while_loading_is_asked_once(bench: Bench) -> None:
    bench.breaks = TypeError('deserialize_cuda_engine(): incompatible arguments')
    bench.mean()
    assert not bench.runner.wait(60)
    for _ in range(3):
        assert np.isclose(bench.mean(), FALLBACK)
    state = bench.runner.state()
    assert (state.engine, state.healthy) == ('failed', False)
    assert 'incompatible arguments' in state.detail


def test_each_size_gets_its_engine(bench: Bench) -> None:
    other = np.full((1, 32, 24, 3), 51, np.uint8)
    for image in (IMAGE, other):
        bench.mean(image)
        assert bench.runner.wait(60)
    assert np.isclose(bench.mean(IMAGE), ENGINE)
    assert np.isclose(bench.mean(other), ENGINE)
    assert len(list(bench.engines.glob('*.engine'))) == 2


def test_wrong_inputs_start_nothing(bench: Bench) -> None:
    with pytest.raises(PerceptionError, match='is uint8'):
        bench.mean(IMAGE.astype(np.float32))
    assert bench.runner.state().engine == 'waiting'


def test_closing_stops_a_build_under_way(
    tmp_path: Path, rtx: ModuleType, make_deep_model: Callable
) -> None:
    model = tmp_path / 'long.onnx'
    make_deep_model(model, layers=400)

    def request(shapes: Mapping[str, tuple[int, ...]]) -> EngineRequest:
        return EngineRequest(str(model), dict(shapes), 'fp32', target='sm89',
                             folder=str(tmp_path / 'engines'))

    runner = SwitchingRunner(OnnxRunner(model), request, lambda plan, content: pytest.fail())
    runner.run({'image': IMAGE})
    until = time.monotonic() + 30
    while runner.state().progress < 0.05 and time.monotonic() < until:
        time.sleep(0.005)
    assert runner.state().engine == 'building'
    runner.close()
    assert not list((tmp_path / 'engines').glob('*.engine'))
    assert not [thread for thread in threading.enumerate() if thread.name == 'engine']
    with pytest.raises(PerceptionError, match='was closed'):
        runner.run({'image': IMAGE})
