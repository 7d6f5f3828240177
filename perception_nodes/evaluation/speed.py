# SPDX-License-Identifier: Apache-2.0
"""How fast things answer, and how much memory they take.

Each is measured in a process of its own, and they take turns: a machine that is busy for a while
then slows all of them, and not the one that happened to be measured.
"""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from perception_nodes import signals
from perception_nodes.evaluation.baselines import BASELINES
from perception_nodes.evaluation.model_inputs import InputFrame, model_inputs
from perception_nodes.inference import open_runner
from perception_nodes.inference.memory import memory_mb, peak_memory_mb
from perception_nodes.inference.onnx_runner import default_threads
from perception_nodes.inference.switching_runner import SwitchingRunner
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.perception import Perception, StereoFrame
from perception_nodes.types import Array, Camera, Image, PerceptionError, StereoRig

WARM_UP = 3
ROUNDS = 5
KEPT_OUTPUTS = 2
BASELINE_M = 0.5
FRAME_NS = 50_000_000


@dataclass(frozen=True)
class SpeedCase:
    """What is measured.

    Attributes
    ----------
    kind : 'model' (a runner alone), 'pipeline' (with everything around it), 'baseline' (a
        classical method behind the pipeline's interface) or 'network' (an ONNX file without a
        card).
    task : a task; name: of the model, pipeline, baseline or network, for people.
    model : path or released name ('' for baselines).
    backend, precision, threads : as open_runner takes them.
    samples : rows of dropout masks of a model that has them.
    """

    kind: str
    task: str
    name: str
    model: str = ''
    backend: str = 'onnxruntime'
    precision: str = 'fp32'
    threads: int = 1
    samples: int = 1


@dataclass(frozen=True)
class SpeedResult:
    """What came out.

    Attributes
    ----------
    backend : what answered, in its own words.
    call_ms : [frames] wall time of each call after the warm-up.
    load_s : until the first answer (of an engine: until it is built and loaded).
    memory_mb : peak memory of the process beyond what it had before loading.
    outputs : of the first inputs, to compare (kind 'model' only).
    """

    case: SpeedCase
    backend: str
    call_ms: tuple[float, ...]
    load_s: float
    memory_mb: float
    outputs: tuple[Mapping[str, Array], ...] = field(default=(), repr=False)

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return float(np.percentile(self.call_ms, 50))

    @property
    def p99_ms(self) -> float:
        """99th percentile of the latency."""
        return float(np.percentile(self.call_ms, 99))

    @property
    def per_second(self) -> float:
        """Throughput of calls one after the other."""
        return 1e3 * len(self.call_ms) / float(np.sum(self.call_ms))


def measure(
    cases: Sequence[SpeedCase], frames: Sequence[InputFrame], calls: int,
    progress: Callable[[], None] = lambda: None,
) -> list[SpeedResult | PerceptionError]:
    """Measure cases side by side, in rounds; of one that cannot run, why.

    Parameters
    ----------
    calls : measured calls of each case, after those that warm it up.
    progress : called after every setting up and every turn, ``steps(len(cases))`` times in all.
    """
    workers: list[_Worker | PerceptionError] = []
    results: list[SpeedResult | PerceptionError] = []
    try:
        for case in cases:
            try:
                workers.append(_Worker(case, frames))
            except PerceptionError as error:
                workers.append(error)
            progress()
        for turn in range(ROUNDS):
            share = calls * (turn + 1) // ROUNDS - calls * turn // ROUNDS
            for index, worker in enumerate(workers):
                if isinstance(worker, _Worker) and share:
                    try:
                        worker.take_turn(share)
                    except PerceptionError as error:
                        workers[index] = error
                progress()
    finally:
        for worker in workers:
            results.append(worker.finish() if isinstance(worker, _Worker) else worker)
    return results


def steps(cases: int) -> int:
    """How often ``measure`` reports its progress."""
    return cases * (1 + ROUNDS)


class _Worker:
    """The process of one case; PerceptionError if it cannot be set up."""

    def __init__(self, case: SpeedCase, frames: Sequence[InputFrame]) -> None:
        context = multiprocessing.get_context('spawn')
        self._case, self._call_ms = case, list[float]()
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_child, args=(other, case, frames), daemon=True)
        with signals.ignored():  # Ctrl-C is for the parent, which ends this process
            self._process.start()
        other.close()
        self._backend, self._load_s, self._outputs = self._answer()

    def take_turn(self, calls: int) -> None:
        """Make it answer some more."""
        self._pipe.send(calls)
        self._call_ms += self._answer()

    def finish(self) -> SpeedResult:
        """End the process; what it measured."""
        self._pipe.send(0)
        memory = float(self._answer())
        self._process.join()
        return SpeedResult(self._case, self._backend, tuple(self._call_ms), self._load_s, memory,
                           self._outputs)

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = PerceptionError(f'the measuring process of {self._case.name} died')
        if isinstance(answer, PerceptionError):
            self._process.join()
            raise answer
        return answer


def _child(pipe: Connection, case: SpeedCase, frames: Sequence[InputFrame]) -> None:
    """Set up and report; then measure as many calls as requested, until none are."""
    import cv2

    cv2.setNumThreads(case.threads or default_threads())
    before_mb, start, done = memory_mb(), time.perf_counter(), 0
    try:
        call, backend, keep = _set_up(case, frames)
        first = [call(index) for index in range(WARM_UP)]
        pipe.send((backend(), time.perf_counter() - start,
                   tuple(first[:KEPT_OUTPUTS]) if keep else ()))
        while calls := pipe.recv():
            call_ms = []
            for index in range(done, done + calls):
                begin = time.perf_counter()
                call(index)
                call_ms.append(1e3 * (time.perf_counter() - begin))
            done += calls
            pipe.send(call_ms)
        pipe.send(peak_memory_mb() - before_mb)
    except (EOFError, BrokenPipeError):
        return  # the other side is gone
    except Exception as error:
        text = ' '.join(str(error).split()) or repr(error)
        with contextlib.suppress(OSError):
            pipe.send(PerceptionError(f'{case.name}: {text}'))


def differences(reference: SpeedResult, other: SpeedResult) -> dict[str, tuple[float, float]]:
    """Mean and largest absolute difference of each output; of integers the share that differs."""
    found: dict[str, tuple[float, float]] = {}
    for name in reference.outputs[0] if reference.outputs else ():
        pairs = [_difference(mine[name], theirs[name])
                 for mine, theirs in zip(reference.outputs, other.outputs, strict=True)]
        means, largest = zip(*pairs, strict=True)
        found[name] = (float(np.mean(means)), max(largest))
    return found


def stereo_frames(frames: Sequence[InputFrame]) -> list[StereoFrame]:
    """Frames as the pipelines take them; one camera is taken for both."""
    made = []
    for index, frame in enumerate(frames):
        height, width = frame.left.shape[:2]
        centre = ((width - 1) / 2, (height - 1) / 2)
        cameras = [
            Camera.pinhole(width, height, frame.focal_px, frame.focal_px, *centre,
                           baseline_m=baseline_m) for baseline_m in (0.0, BASELINE_M)
        ]
        second = frame.left if frame.right is None else frame.right
        left, right = (Image(data, index * FRAME_NS, 'camera') for data in (frame.left, second))
        made.append(StereoFrame(left, right, StereoRig(*cameras)))
    return made


def _set_up(
    case: SpeedCase, frames: Sequence[InputFrame]
) -> tuple[Callable[[int], Any], Callable[[], str], bool]:
    """What to call with a running number, what then serves, and whether outputs compare."""
    if case.kind == 'network':
        return _plain_network(case, frames)
    if case.kind == 'model':
        runner = open_runner(case.model, backend=case.backend, precision=case.precision,
                             threads=case.threads, wait=True)
        inputs = list(model_inputs(runner.card, frames, case.samples))
        if isinstance(runner, SwitchingRunner):
            runner.run(inputs[0])
            if not runner.wait():
                raise PerceptionError(f'{case.name}: {runner.state().detail}')
        return (lambda index: runner.run(inputs[index % len(inputs)]),
                lambda: runner.backend, True)
    if case.kind == 'baseline':
        pipeline, backend = BASELINES[case.task][case.name](), 'opencv'
    else:
        pipeline = build_pipeline(case.task, model=case.model or None, backend=case.backend,
                                  precision=case.precision, threads=case.threads)
        backend = case.backend
    task = Perception({case.task: pipeline})
    forward = stereo_frames(frames)
    there_and_back = [*forward, *forward[-2:0:-1]]  # motion stays continuous

    def call(index: int) -> Any:
        frame = there_and_back[index % len(there_and_back)]
        stamp = index * FRAME_NS
        left, right = (Image(image.data, stamp, 'camera') for image in (frame.left, frame.right))
        return task(StereoFrame(left, right, frame.rig))

    return call, lambda: backend, False


def _plain_network(
    case: SpeedCase, frames: Sequence[InputFrame]
) -> tuple[Callable[[int], Any], Callable[[], str], bool]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads or default_threads()
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(
        case.model, options, providers=['CPUExecutionProvider']
    )
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    planes = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    return (lambda index: session.run(None, {name: planes}),
            lambda: f'onnxruntime {onnxruntime.__version__} cpu', False)


def _difference(expected: Array, found: Array) -> tuple[float, float]:
    if expected.shape != found.shape:
        return float('inf'), float('inf')
    if expected.dtype.kind in 'ui':
        share = float(np.mean(expected != found))
        return share, share
    gap = np.abs(expected.astype(np.float64) - found.astype(np.float64))
    known = gap[np.isfinite(gap)]
    return (float(known.mean()), float(known.max())) if known.size else (0.0, 0.0)
