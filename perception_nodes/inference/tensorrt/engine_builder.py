# SPDX-License-Identifier: Apache-2.0
"""From an ONNX file to an engine in the cache, with NVIDIA's parser and builder."""

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_nodes.inference.memory import peak_memory_mb
from perception_nodes.inference.model_card import ModelCard, load_model
from perception_nodes.inference.runner import EngineFailedError
from perception_nodes.inference.tensorrt.build_memory import gpu_memory
from perception_nodes.inference.tensorrt.engine_cache import (
    EngineCache,
    StaleEngineError,
    TimingCache,
)
from perception_nodes.inference.tensorrt.engine_key import (
    AMPERE_PLUS,
    EngineKey,
    ampere_and_later,
    make_key,
)
from perception_nodes.inference.tensorrt.gpu import Gpu, probe_gpu
from perception_nodes.inference.tensorrt.library import (
    TensorrtLibrary,
    load_tensorrt,
    make_logger,
)
from perception_nodes.onnx_graph.static_model import fix_shapes
from perception_nodes.types import PerceptionError

Progress = Callable[[str, float], bool]


@dataclass(frozen=True)
class EngineRequest:
    """What to build; also what travels to the process that builds.

    Attributes
    ----------
    model : path of the ONNX file, its card beside it.
    shapes : of every input, all sizes given.
    precision : fp32, fp16 (made from an fp32 file), int8 (the file itself is int8).
    target : 'current', or a compute capability as 'sm89'.
    flavour : 'auto', 'tensorrt' or 'tensorrt_rtx'.
    gpu : number of the device.
    folder : of the cache; '' = the default.
    workspace_mb : most scratch memory a layer may use on the GPU, 0 = no limit.
    level : 0..5, how long the builder searches.
    version_compatible : an engine that later 10.x or 11.x versions load as well, a little slower
        (flavour tensorrt).
    hardware_compatible : for any GPU from Ampere on, slower.
    stripped : without the weights, to send to many machines: they are put in again from the ONNX
        file when the engine is loaded. Needs a GPU to build.
    """

    model: str
    shapes: Mapping[str, tuple[int, ...]]
    precision: str = 'fp16'
    target: str = 'current'
    flavour: str = 'auto'
    gpu: int = 0
    folder: str = ''
    workspace_mb: int = 0
    level: int = 3
    version_compatible: bool = False
    hardware_compatible: bool = False
    stripped: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """The build options as a part of the key."""
        flags = ('version_compatible', 'hardware_compatible', 'stripped')
        chosen = [name for name in flags if getattr(self, name)]
        return (f'level{self.level}', *([f'workspace{self.workspace_mb}']
                                        if self.workspace_mb else []), *chosen)


@dataclass(frozen=True)
class EnginePlan:
    """A request whose library, GPU and key are settled."""

    request: EngineRequest
    card: ModelCard
    model: bytes
    library: TensorrtLibrary
    gpu: Gpu | None
    key: EngineKey


def plan_engine(request: EngineRequest) -> EnginePlan:
    """Find the library and the GPU and work out the key; PerceptionError if it cannot be done."""
    card, model = load_model(request.model)
    if (card.precision == 'int8') != (request.precision == 'int8') or card.precision == 'fp16':
        raise PerceptionError(
            f'{request.model} holds {card.precision}: an fp32 or fp16 engine is made from the '
            'fp32 file, an int8 engine from one that perception export --precision int8 wrote'
        )
    gpu = probe_gpu(request.gpu)
    foreign = request.target != 'current'
    library = load_tensorrt(gpu if not foreign else None, request.flavour)
    _check_options(request, library, gpu)
    key = make_key(card, library, gpu, target=request.target, precision=request.precision,
                   shapes=request.shapes, options=request.options)
    return EnginePlan(request, card, model, library, gpu, key)


def ensure_engine(
    request: EngineRequest, progress: Progress = lambda phase, fraction: True
) -> tuple[Path, str]:
    """Build the engine unless the cache holds a good one.

    Parameters
    ----------
    progress : called with (phase, fraction 0..1) while building; False cancels.

    Returns
    -------
    path of the engine, and why it had to be built ('' if it was there).

    Raises
    ------
    PerceptionError
        If the model, the library or the target do not allow it, or it was cancelled.
    """
    plan = plan_engine(request)
    cache = EngineCache(request.folder or None)
    with cache.building(plan.key):
        try:
            cache.load(plan.key)
            return cache.path(plan.key), ''
        except StaleEngineError as error:
            reason = str(error)
        start = time.monotonic()
        timing = TimingCache(cache.folder, plan.library.flavour, plan.library.version)
        built = build(plan, progress, timing.read())
        facts = {
            'build_s': round(time.monotonic() - start, 2),
            'peak_memory_mb': round(peak_memory_mb()),
            **built.memory,
        }
        path = cache.store(plan.key, built.content, facts)
        timing.write(built.timings)
    return path, reason


def typed_model(plan: EnginePlan) -> bytes:
    """The static graph in the precision that was asked for."""
    static = fix_shapes(plan.model, dict(plan.request.shapes))
    if plan.request.precision != 'fp16':
        return static
    if importlib.util.find_spec('onnx') is None:
        raise PerceptionError(
            'an fp16 engine needs the package onnx: pip install onnx, or choose precision fp32'
        )
    from perception_nodes.onnx_graph.half_precision import half_model

    return half_model(static)


@dataclass(frozen=True)
class Built:
    """What came out of a build: the engine and the timing cache, serialised, and gpu_memory()."""

    content: bytes
    timings: bytes
    memory: Mapping[str, float | None]


def build(plan: EnginePlan, progress: Progress, timing_cache: bytes) -> Built:
    """Parse and build."""
    trt, messages, notes = plan.library.module, list[str](), list[str]()
    _use_device(plan)
    logger = make_logger(plan.library, messages, notes)
    builder = trt.Builder(logger)
    flags = 0
    if hasattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED'):
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(typed_model(plan)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise PerceptionError(
            f'{plan.library.flavour} does not take model {plan.card.name!r}: {"; ".join(errors)}'
        )
    config = builder.create_builder_config()
    _configure(trt, config, plan)
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    tuned = not plan.library.ahead_of_time  # without the GPU there is nothing to time
    if tuned:
        config.set_timing_cache(config.create_timing_cache(timing_cache), True)
    engine = builder.build_serialized_network(network, config)
    if monitor.cancelled:
        raise PerceptionError(f'building the engine of {plan.card.name!r} was cancelled')
    if engine is None:
        raise PerceptionError(
            f'{plan.library.flavour} could not build {plan.card.name!r}: '
            + ('; '.join(messages[-3:]) or 'no reason reported')
        )
    timings = bytes(config.get_timing_cache().serialize()) if tuned else b''
    return Built(bytes(engine), timings, gpu_memory(notes))


def _configure(trt: Any, config: Any, plan: EnginePlan) -> None:
    request = plan.request
    config.builder_optimization_level = request.level
    if request.workspace_mb:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_mb << 20)
    if request.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if request.stripped:  # "identical": it gets the weights back that it was tuned with
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
        config.set_flag(trt.BuilderFlag.REFIT_IDENTICAL)
    if request.hardware_compatible and not plan.library.ahead_of_time:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if plan.library.ahead_of_time:
        wanted = (ampere_and_later() if plan.key.compute_capability == AMPERE_PLUS
                  else (plan.key.compute_capability,))
        config.num_compute_capabilities = len(wanted)
        for index, capability in enumerate(wanted):
            name = 'SM' + capability.replace('.', '')
            config.set_compute_capability(getattr(trt.ComputeCapability, name), index)


def _check_options(request: EngineRequest, library: TensorrtLibrary, gpu: Gpu | None) -> None:
    if request.version_compatible and library.ahead_of_time:
        raise PerceptionError(
            f'{library.flavour} has no version-compatible engines: build them with tensorrt'
        )
    if request.stripped and gpu is None:
        raise PerceptionError(
            'an engine without weights is built on a machine with a GPU; leave the option out here'
        )
    if request.stripped and not hasattr(library.module.BuilderFlag, 'STRIP_PLAN'):
        raise PerceptionError(f'{library.flavour} {library.version} cannot leave weights out')


def _use_device(plan: EnginePlan) -> None:
    """Build on the device that was named; the first one is taken by itself."""
    if plan.gpu is not None and plan.request.gpu:
        from perception_nodes.inference.tensorrt.cuda_runtime import Cuda

        try:
            Cuda(plan.request.gpu)
        except EngineFailedError as error:
            raise PerceptionError(str(error)) from None


def _monitor(trt: Any, progress: Progress) -> Any:
    """Progress monitor: phases nest, the fraction is of the outermost one and those inside it."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self.phases: dict[str, tuple[str | None, int, int]] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self.phases[name] = (parent, max(1, steps), 0)
            self._tell(name)

        def step_complete(self, name: str, step: int) -> bool:
            parent, steps, _ = self.phases.get(name, (None, 1, 0))
            self.phases[name] = (parent, steps, step + 1)
            self._tell(name)
            return not self.cancelled

        def phase_finish(self, name: str) -> None:
            self.phases.pop(name, None)

        def _tell(self, name: str) -> None:
            fraction, phase = 0.0, name
            while phase in self.phases:
                parent, steps, done = self.phases[phase]
                fraction = min(1.0, (done + fraction) / steps)
                phase = parent or ''
            self.cancelled = self.cancelled or not progress(name, fraction)

    return Monitor()
