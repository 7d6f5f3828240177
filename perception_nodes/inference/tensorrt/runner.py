# SPDX-License-Identifier: Apache-2.0
"""An engine on an NVIDIA GPU.

One stream, device buffers and page-locked host buffers that live as long as the runner, images
uploaded as uint8, and the upload and the kernels of a frame captured once as a CUDA graph (shapes
are fixed). Only the outputs that were asked for are copied back, to page-locked arrays that are
handed to the caller as they are (see output_slots).

This file needs a GPU to run, and none has executed it yet: the tests check its names against the
installed libraries and its order of calls against a device that is played in host memory.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception_nodes.inference.check_inputs import check_inputs, check_outputs
from perception_nodes.inference.runner import EngineFailedError, RunnerState
from perception_nodes.inference.tensorrt.cuda_runtime import Cuda, PinnedBuffer
from perception_nodes.inference.tensorrt.engine_builder import EnginePlan
from perception_nodes.inference.tensorrt.engine_cache import StaleEngineError
from perception_nodes.inference.tensorrt.library import make_logger
from perception_nodes.inference.tensorrt.output_slots import OutputSlots
from perception_nodes.inference.tensorrt.stripped_engine import put_weights_in
from perception_nodes.types import Array, PerceptionError


class TensorrtRunner:
    """A deserialised engine and everything it needs to run.

    Parameters
    ----------
    plan : what the engine was made for.
    content : the engine as TensorRT serialised it.
    memory_limit_mb : refuse an engine that needs more of the device, 0 = no limit.
    cuda_graph : capture the frame; off only to look for faults.

    Raises
    ------
    StaleEngineError
        If TensorRT refuses the engine, or the weights of one that was stored without them.
    EngineFailedError
        If the device cannot hold or run it.
    """

    def __init__(
        self, plan: EnginePlan, content: bytes, *, memory_limit_mb: int = 0,
        cuda_graph: bool = True,
    ) -> None:
        trt = plan.library.module
        self.card = plan.card
        self.backend = f'{plan.library.flavour} {plan.library.version} {plan.key.precision}'
        self._key, self._closed = plan.key, False
        self._messages: list[str] = []
        self._buffers: dict[str, PinnedBuffer] = {}
        self._results: dict[str, OutputSlots] = {}
        self._stream: Any = None
        self._graph: Any = None
        self._context: Any = None
        self._cuda = Cuda(plan.request.gpu)
        logger = make_logger(plan.library, self._messages)
        self._runtime = trt.Runtime(logger)
        if 'version_compatible' in plan.key.options:
            self._runtime.engine_host_code_allowed = True
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise StaleEngineError(f'{plan.key.file_name} is refused by TensorRT: {self._last()}')
        try:
            if 'stripped' in plan.key.options:
                put_weights_in(plan, self._engine, logger)
            self._check_memory(content, memory_limit_mb)
            self._set_up(trt, cuda_graph)
        except (EngineFailedError, StaleEngineError):
            self.close()
            raise

    def _set_up(self, trt: Any, cuda_graph: bool) -> None:
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineFailedError(f'no execution context: {self._last()}')
        self._check_tensors()
        api = self._cuda.api
        self._stream = self._cuda.call(api.cudaStreamCreateWithFlags, api.cudaStreamNonBlocking)
        for index in range(self._engine.num_io_tensors):
            self._allocate(trt, self._engine.get_tensor_name(index))
        for spec in self.card.outputs:
            self._results[spec.name] = OutputSlots(self._cuda, self._buffers[spec.name])
        self._enqueue()  # the first one loads kernels and may allocate: not part of the graph
        self._cuda.call(api.cudaStreamSynchronize, self._stream)
        if cuda_graph:
            self._graph = self._capture()

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once (see Runner.run); EngineFailedError if the device fails."""
        if self._closed:
            raise PerceptionError(f'model {self.card.name!r} was closed')
        names = check_outputs(self.card, outputs)
        for name, array in check_inputs(self.card, inputs).items():
            buffer = self._buffers[name].host
            if buffer.shape != array.shape:
                raise PerceptionError(
                    f'this engine takes {name!r} as {list(buffer.shape)}, not {list(array.shape)}'
                )
            np.copyto(buffer, array)
        self._cuda.use()
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.call(self._cuda.api.cudaGraphLaunch, self._graph, self._stream)
        for name in names:
            self._results[name].download(self._stream)
        self._cuda.call(self._cuda.api.cudaStreamSynchronize, self._stream)
        return {name: self._results[name].hand_out() for name in names}

    def state(self) -> RunnerState:
        """What serves."""
        return RunnerState(self.backend, 'ready', progress=1.0, engine_key=self._key.digest)

    def close(self) -> None:
        """Free the device; a device that is lost is left alone."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(EngineFailedError):
            self._cuda.use()
            if self._stream is not None:
                self._cuda.call(self._cuda.api.cudaStreamSynchronize, self._stream)
        if self._graph is not None:
            self._cuda.api.cudaGraphExecDestroy(self._graph)
        self._context = self._engine = self._runtime = None
        for slots in self._results.values():
            slots.free()
        for buffer in self._buffers.values():
            buffer.free()
        if self._stream is not None:
            self._cuda.api.cudaStreamDestroy(self._stream)

    def _check_memory(self, content: bytes, memory_limit_mb: int) -> None:
        engine = self._engine
        scratch = int(engine.device_memory_size_v2 if hasattr(engine, 'device_memory_size_v2')
                      else engine.device_memory_size)  # before 10.1
        needed = len(content) + scratch  # the weights are most of the content
        free = self._cuda.free_bytes()
        if memory_limit_mb and needed > memory_limit_mb << 20:
            raise EngineFailedError(
                f'the engine needs {needed >> 20} MB, the limit is {memory_limit_mb} MB'
            )
        if scratch > free:
            raise EngineFailedError(
                f'the engine needs {scratch >> 20} MB more, {free >> 20} MB are free'
            )

    def _allocate(self, trt: Any, name: str) -> None:
        shape = tuple(self._engine.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise EngineFailedError(f'tensor {name!r} has no fixed shape: {list(shape)}')
        dtype = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name)))
        self._buffers[name] = PinnedBuffer(self._cuda, shape, dtype)
        self._context.set_tensor_address(name, self._buffers[name].device)

    def _check_tensors(self) -> None:
        """Refuse an engine built from another model, whatever its header."""
        names = {self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)}
        wanted = {spec.name for spec in (*self.card.inputs, *self.card.outputs)}
        shapes = dict(self._key.shapes)
        if names != wanted or any(
            tuple(self._engine.get_tensor_shape(name)) != shape for name, shape in shapes.items()
        ):
            raise StaleEngineError(
                f'{self._key.file_name} has tensors {sorted(names)}, not those of '
                f'{self.card.name!r}: it is the engine of another model'
            )

    def _enqueue(self) -> None:
        for spec in self.card.inputs:
            self._buffers[spec.name].upload(self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineFailedError(f'the engine did not run: {self._last()}')

    def _capture(self) -> Any:
        """Record upload and kernels; None where the engine cannot be captured."""
        api = self._cuda.api
        capturable = getattr(self._context, 'is_stream_capturable', None)
        if capturable is not None and not capturable(int(self._stream)):
            return None
        mode = api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda.call(api.cudaStreamBeginCapture, self._stream, mode)
        try:
            self._enqueue()
        finally:
            graph = self._cuda.call(api.cudaStreamEndCapture, self._stream)
        executable = self._cuda.call(api.cudaGraphInstantiate, graph, 0)
        self._cuda.call(api.cudaGraphDestroy, graph)
        return executable

    def _last(self) -> str:
        return self._messages[-1] if self._messages else 'no reason given'
