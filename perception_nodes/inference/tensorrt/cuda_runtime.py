# SPDX-License-Identifier: Apache-2.0
"""The CUDA runtime through NVIDIA's Python bindings: memory, one stream, one graph. No torch.

The runtime API works in the device's primary context, so all runners of a process share one.
"""

import ctypes
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from perception_nodes.inference.runner import EngineFailedError
from perception_nodes.types import Array, PerceptionError

MODULES = ('cuda.bindings.runtime', 'cuda.cudart')  # since 12.6, and before


def load_cuda() -> ModuleType:
    """Import the bindings; PerceptionError with what to install if there are none."""
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise PerceptionError('no CUDA bindings for Python: pip install cuda-python')


class Cuda:
    """Calls that raise instead of returning a status."""

    def __init__(self, gpu: int) -> None:
        self.api = load_cuda()
        self.gpu = gpu
        self.use()

    def use(self) -> None:
        """Make the device the calling thread's current one."""
        self.call(self.api.cudaSetDevice, self.gpu)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Value of a runtime call; EngineFailedError with CUDA's own name of what went wrong."""
        status, *values = function(*arguments)
        if int(status) != 0:
            name = getattr(status, 'name', str(status))
            raise EngineFailedError(f'{function.__name__} on GPU {self.gpu}: {name}')
        return values[0] if len(values) == 1 else tuple(values)

    def free_bytes(self) -> int:
        """Memory of the device that nobody holds."""
        return int(self.call(self.api.cudaMemGetInfo)[0])


class PinnedBuffer:
    """The same array on the device and, page-locked, on the host.

    Attributes
    ----------
    host : numpy view of the page-locked memory.
    device : address on the device.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._cuda = cuda
        self.bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.device = int(cuda.call(cuda.api.cudaMalloc, self.bytes))
        try:
            self._host = int(cuda.call(cuda.api.cudaMallocHost, self.bytes))
        except EngineFailedError:
            cuda.api.cudaFree(self.device)
            raise
        raw = (ctypes.c_uint8 * self.bytes).from_address(self._host)
        self.host: Array = np.ctypeslib.as_array(raw).view(dtype).reshape(shape)

    def upload(self, stream: Any) -> None:
        """Copy host to device, in the stream's order."""
        kind = self._cuda.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._cuda.call(self._cuda.api.cudaMemcpyAsync, self.device, self._host, self.bytes,
                        kind, stream)

    def download(self, stream: Any, address: int | None = None) -> None:
        """Copy device to host, or to other page-locked memory, in the stream's order."""
        kind = self._cuda.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._cuda.call(self._cuda.api.cudaMemcpyAsync, address or self._host, self.device,
                        self.bytes, kind, stream)

    def free(self) -> None:
        """Free both; a lost device is not asked twice."""
        self._cuda.api.cudaFree(self.device)
        self._cuda.api.cudaFreeHost(self._host)
