# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: optional, faster on cost volumes, pinned to f32 so that answers agree."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perception_nodes.inference.check_inputs import check_inputs, check_outputs
from perception_nodes.inference.model_card import load_model
from perception_nodes.inference.onnx_runner import default_threads
from perception_nodes.inference.runner import RunnerState
from perception_nodes.types import Array, PerceptionError

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class OpenvinoRunner:
    """A model in OpenVINO; compiled anew for every set of input shapes, which it runs faster.

    Parameters
    ----------
    path : the ONNX file, its card beside it.
    threads : CPU threads, 0 = default_threads().

    Raises
    ------
    PerceptionError
        If OpenVINO is not installed or does not take the model.
    """

    def __init__(self, path: str | Path, *, threads: int = 0) -> None:
        if importlib.util.find_spec('openvino') is None:
            raise PerceptionError(
                "backend openvino is not installed: pip install 'perception_nodes[openvino]'"
            )
        import openvino

        self.card, content = load_model(path)
        self.backend = f'openvino {openvino.__version__.split("-")[0]} cpu'
        self._core: Any = openvino.Core()
        self._threads = threads or default_threads()
        try:
            self._model = self._core.read_model(content, b'')
        except RuntimeError as error:
            raise PerceptionError(
                f'model file {path} is not understood by OpenVINO: {_last_line(error)}'
            ) from None
        self._shapes: Shapes = ()
        self._request: Any = None

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Run once (see Runner.run)."""
        if self._core is None:
            raise PerceptionError(f'model {self.card.name!r} was closed')
        names = check_outputs(self.card, outputs)
        arrays = check_inputs(self.card, inputs)
        try:
            self._compile(tuple((name, array.shape) for name, array in arrays.items()))
            self._request.infer(arrays, share_inputs=True)
        except RuntimeError as error:
            raise PerceptionError(
                f'model {self.card.name!r} failed in OpenVINO: {_last_line(error)}'
            ) from None
        return {name: self._request.get_tensor(name).data.copy() for name in names}

    def state(self) -> RunnerState:
        """What serves; there is no engine to wait for."""
        return RunnerState(serving=self.backend)

    def close(self) -> None:
        """Free the model."""
        self._core = self._model = self._request = None

    def _compile(self, shapes: Shapes) -> None:
        if shapes == self._shapes:
            return
        self._model.reshape({name: list(shape) for name, shape in shapes})
        compiled = self._core.compile_model(self._model, 'CPU', {
            'INFERENCE_PRECISION_HINT': 'f32',
            'INFERENCE_NUM_THREADS': self._threads,
            'PERFORMANCE_HINT': 'LATENCY',
            'ENABLE_CPU_PINNING': False,  # a pinned thread waits for a core that others use
        })
        self._request, self._shapes = compiled.create_infer_request(), shapes


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else repr(error)
