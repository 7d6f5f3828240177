# SPDX-License-Identifier: Apache-2.0
"""A model for one camera size: every shape a constant, nothing left to compute from H and W.

Released graphs compute their own sizes from the image's. An engine is built for one size, and for
that the arithmetic on sizes is folded away by ONNX Runtime's offline optimiser, at the level that
keeps to standard operators.
"""

from collections.abc import Mapping

import onnxruntime as ort

from perception_nodes.files.atomic import temporary_folder
from perception_nodes.types import PerceptionError


def fix_shapes(model: bytes, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Fix the input shapes of a serialised model and fold constants.

    Not for fp16 graphs: where the CPU lacks a half-precision operator, ONNX Runtime would write
    its own casts into the file. Fold first, then lower the precision.

    Parameters
    ----------
    shapes : of every input, all sizes given.

    Raises
    ------
    PerceptionError
        If a shape contradicts the graph (rank, fixed size, one symbol with two values).
    """
    sizes: dict[str, int] = {}
    for value in _session(model, _options()).get_inputs():
        given = shapes.get(value.name)
        if given is None or len(given) != len(value.shape):
            raise PerceptionError(f'input {value.name!r} needs a shape like {value.shape}')
        for symbol, size in zip(value.shape, given, strict=True):
            expected = size if symbol is None else sizes.setdefault(symbol, size) if isinstance(
                symbol, str) else symbol
            if expected != size:
                raise PerceptionError(
                    f'input {value.name!r} cannot have shape {list(given)}: '
                    f'its axis {symbol!r} is {expected}'
                )
    with temporary_folder('perception-static') as folder:
        path = folder / 'static.onnx'
        options = _options(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)
        options.optimized_model_filepath = str(path)
        for symbol, size in sizes.items():
            options.add_free_dimension_override_by_name(symbol, size)
        _session(model, options)
        return path.read_bytes()


def _options(
    level: ort.GraphOptimizationLevel = ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Else it quantises biases to int32, which TensorRT does not read.
    options.add_session_config_entry('session.disable_quant_qdq', '1')
    return options


def _session(model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its own exception classes share no base
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise PerceptionError(f'the model cannot be made static: {reason[:200]}') from None
