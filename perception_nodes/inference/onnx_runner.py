# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: what runs where there is no GPU, and what every other backend is compared with."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from perception_nodes.inference.check_inputs import check_inputs, check_outputs
from perception_nodes.inference.model_card import ModelCard, load_model
from perception_nodes.inference.runner import RunnerState
from perception_nodes.types import Array, PerceptionError

PROVIDERS: dict[str, tuple[str, ...]] = {
    'cpu': ('CPUExecutionProvider',),
    'cuda': ('CUDAExecutionProvider', 'CPUExecutionProvider'),
    'tensorrt': ('TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider'),
}
MAX_DEFAULT_THREADS = 4


def default_threads() -> int:
    """Default threads of one runner: half of the cores, from 1 to 4.

    Several nodes share a machine; with one runner a core each, a second thread makes both slower.
    """
    return max(1, min(MAX_DEFAULT_THREADS, len(os.sched_getaffinity(0)) // 2))


class OnnxRunner:
    """A model in ONNX Runtime.

    Parameters
    ----------
    path : the ONNX file, its card beside it.
    device : 'cpu', 'cuda' or 'tensorrt' (ONNX Runtime's execution providers of those names).
    threads : of one operator; 0 = default_threads(). Graphs run one operator at a time.
    spinning : let idle threads burn their core for a little less latency. Off: six nodes share it.
    gpu : number of the device.
    memory_limit_mb : arena on the GPU, 0 = no limit.

    Raises
    ------
    PerceptionError
        If the file or its card is missing, cut, changed or not understood, or the provider is not
        in this build of ONNX Runtime.
    """

    def __init__(
        self, path: str | Path, *, device: str = 'cpu', threads: int = 0, spinning: bool = False,
        gpu: int = 0, memory_limit_mb: int = 0,
    ) -> None:
        if threads < 0:
            raise PerceptionError(f'threads is {threads}: choose 0 (default) or more')
        if device not in PROVIDERS:
            raise PerceptionError(f'device {device!r} is not one of {list(PROVIDERS)}')
        if PROVIDERS[device][0] not in ort.get_available_providers():
            raise PerceptionError(
                f'this ONNX Runtime has no {PROVIDERS[device][0]}: install onnxruntime-gpu '
                'or choose backend onnxruntime'
            )
        self.card: ModelCard
        self.card, content = load_model(path)
        self.backend = f'onnxruntime {ort.__version__} {device}'
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry('session.intra_op.allow_spinning', str(int(spinning)))
        providers = [(name, _provider_options(name, gpu, memory_limit_mb))
                     for name in PROVIDERS[device]]
        try:
            session = ort.InferenceSession(content, options, providers=providers)
        except Exception as error:  # its own exception classes share no base
            raise PerceptionError(
                f'model file {path} is not understood by ONNX Runtime: {_first_line(error)}'
            ) from None
        if PROVIDERS[device][0] not in session.get_providers():
            raise PerceptionError(
                f'ONNX Runtime could not start {PROVIDERS[device][0]} (driver or libraries '
                'missing); choose backend onnxruntime'
            )
        self._session: ort.InferenceSession | None = session
        _check_names(self.card, session)

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once (see Runner.run)."""
        if self._session is None:
            raise PerceptionError(f'model {self.card.name!r} was closed')
        names = check_outputs(self.card, outputs)
        arrays = check_inputs(self.card, inputs)
        try:
            values = self._session.run(names, arrays)
        except Exception as error:  # as above
            raise PerceptionError(
                f'model {self.card.name!r} failed in ONNX Runtime: {_first_line(error)}'
            ) from None
        return dict(zip(names, values, strict=True))

    def state(self) -> RunnerState:
        """What serves; there is no engine to wait for."""
        return RunnerState(serving=self.backend)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _provider_options(name: str, gpu: int, memory_limit_mb: int) -> dict[str, str]:
    if name == 'CPUExecutionProvider':
        return {}
    options = {'device_id': str(gpu)}
    if memory_limit_mb and name == 'CUDAExecutionProvider':
        options['gpu_mem_limit'] = str(memory_limit_mb << 20)
    if memory_limit_mb and name == 'TensorrtExecutionProvider':
        options['trt_max_workspace_size'] = str(memory_limit_mb << 20)
    return options


def _check_names(card: ModelCard, session: ort.InferenceSession) -> None:
    for kind, specs, graph in (
        ('inputs', card.inputs, session.get_inputs()),
        ('outputs', card.outputs, session.get_outputs()),
    ):
        declared, there = {spec.name for spec in specs}, {value.name for value in graph}
        if declared != there:
            raise PerceptionError(
                f'the card of {card.name!r} lists {kind} {sorted(declared)}, its graph has '
                f'{sorted(there)}: export the model again'
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
