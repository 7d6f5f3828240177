# SPDX-License-Identifier: Apache-2.0
"""Where an engine's outputs come to lie on the host, without a copy or an allocation a frame.

Page-locked arrays are lent and come back by themselves: each loan has an object of its
own at the bottom of the array and of all views of it, and when that is gone nobody holds the
memory. If all slots are held, the result is an ordinary copy: callers may keep as many as they
like, and what they hold never changes.
"""

import ctypes
import weakref
from typing import Any

import numpy as np

from perception_nodes.inference.runner import EngineFailedError
from perception_nodes.inference.tensorrt.cuda_runtime import Cuda, PinnedBuffer
from perception_nodes.types import Array

SLOTS = 3
"""Results of one output that are held at once: the newest, the one before, one on its way out."""


class OutputSlots:
    """Host memory of one output.

    Parameters
    ----------
    buffer : of the output; its own host memory is never lent.

    Raises
    ------
    EngineFailedError
        If there is no more memory; nothing is held then.
    """

    def __init__(self, cuda: Cuda, buffer: PinnedBuffer, count: int = SLOTS) -> None:
        self._buffer = buffer
        self._slots: list[_Slot] = []
        self._taken: _Slot | None = None
        try:
            for _ in range(count):
                self._slots.append(_Slot(cuda, buffer.bytes))
        except EngineFailedError:
            self.free()
            raise

    def download(self, stream: Any) -> None:
        """Copy the output to a slot that nobody holds, in the stream's order."""
        self._taken = next((slot for slot in self._slots if not slot.held), None)
        self._buffer.download(stream, None if self._taken is None else self._taken.address)

    def hand_out(self) -> Array:
        """What was downloaded, once the stream has done it."""
        host = self._buffer.host
        if self._taken is None:
            return np.array(host)
        return self._taken.array(host.shape, host.dtype)

    def free(self) -> None:
        """Free what nobody holds; the rest follows when its holder lets go."""
        for slot in self._slots:
            slot.free()
        self._slots.clear()


class _Slot:
    """One piece of page-locked memory and who holds it."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._api = cuda.api
        self._size = size
        self._holder: weakref.ref[Any] | None = None
        self.address = int(cuda.call(cuda.api.cudaMallocHost, size))

    @property
    def held(self) -> bool:
        return self._holder is not None and self._holder() is not None

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        raw = (ctypes.c_uint8 * self._size).from_address(self.address)
        self._holder = weakref.ref(raw)
        return np.ctypeslib.as_array(raw).view(dtype).reshape(shape)

    def free(self) -> None:
        holder = None if self._holder is None else self._holder()
        if holder is None:
            self._api.cudaFreeHost(self.address)
        else:
            late = weakref.finalize(holder, self._api.cudaFreeHost, self.address)
            late.atexit = False  # the process frees it anyway, and CUDA may be gone first
