# SPDX-License-Identifier: Apache-2.0
"""Names of the backends and precisions; ``backend_choice`` describes them."""

__all__ = ['BACKENDS', 'PRECISIONS']

BACKENDS = (
    'auto', 'onnxruntime', 'onnxruntime_cuda', 'onnxruntime_tensorrt', 'tensorrt', 'tensorrt_rtx',
    'openvino',
)
PRECISIONS = ('fp32', 'fp16', 'int8')
