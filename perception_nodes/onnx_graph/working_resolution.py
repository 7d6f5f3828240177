# SPDX-License-Identifier: Apache-2.0
"""The area that a graph brings its images to: one constant, found by its name."""

import numpy as np
import onnx
from onnx import numpy_helper

from perception_nodes.types import PerceptionError

NAME = 'network_pixels'
"""Of the buffer that export/graphs register, float32 without axes, pixels."""
LEAST, MOST = 64 * 64, 1 << 24


def with_network_pixels(model: bytes, pixels: int) -> bytes:
    """Change the area of a serialised model.

    Raises
    ------
    PerceptionError
        If the area is out of range, the file is no ONNX model or its area is no such constant.
    """
    if not LEAST <= pixels <= MOST:
        raise PerceptionError(f'{pixels} pixels to work at: from {LEAST} to {MOST} are possible')
    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's and onnx's classes share no base
        raise PerceptionError(f'it is no ONNX model: {error}') from None
    found = [tensor for tensor in proto.graph.initializer if tensor.name == NAME]
    if len(found) != 1 or list(found[0].dims):
        raise PerceptionError('the area that this model works at cannot be changed')
    found[0].CopyFrom(numpy_helper.from_array(np.array(pixels, np.float32), NAME))
    return bytes(proto.SerializeToString())
