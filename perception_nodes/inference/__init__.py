# SPDX-License-Identifier: Apache-2.0
"""Models: cards, files, and the backends that run them."""

from pathlib import Path

from perception_nodes.inference.models import model_path
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.runner import Runner
from perception_nodes.types import PerceptionError

BACKENDS = ('auto', 'onnxruntime', 'tensorrt', 'openvino')
PRECISIONS = ('fp32', 'fp16', 'int8')

__all__ = ['BACKENDS', 'PRECISIONS', 'Runner', 'model_path', 'open_runner']


def open_runner(
    model: str | Path, *, backend: str = 'auto', precision: str = 'fp16', threads: int = 0
) -> Runner:
    """Load a model on a backend.

    Parameters
    ----------
    model : released name, or path to an ONNX file with its card.
    backend : one of BACKENDS.
    precision : of a TensorRT engine, one of PRECISIONS; the other backends run the file as it is.
    threads : CPU threads, 0 = the default of the backend.

    Raises
    ------
    PerceptionError
        If the model cannot be loaded or the backend is not there.
    """
    if backend not in BACKENDS:
        raise PerceptionError(f'backend {backend!r} is not one of {", ".join(BACKENDS)}')
    if precision not in PRECISIONS:
        raise PerceptionError(f'precision {precision!r} is not one of {", ".join(PRECISIONS)}')
    path = model_path(model)
    if backend in ('auto', 'onnxruntime'):
        return OnnxRunner(path, threads=threads)
    raise PerceptionError(f'backend {backend} is not available here')
