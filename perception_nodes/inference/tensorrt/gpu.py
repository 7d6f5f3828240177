# SPDX-License-Identifier: Apache-2.0
"""Is there an NVIDIA GPU? Asked of the driver itself, before any library that dies without one.

``tensorrt.Runtime()`` on a machine without a GPU returns an object whose next use ends the process
with a segmentation fault; no ``try`` guards against that. libcuda answers politely instead.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CUdevice_attribute, CUDA driver API


@dataclass(frozen=True)
class Gpu:
    """A device that the driver lists.

    Attributes
    ----------
    index : number in the driver's order.
    name : as the driver calls it.
    compute_capability : 'major.minor', as in '8.9'.
    memory_bytes : total memory.
    driver_cuda : newest CUDA version of the driver, as in '12.6'.
    """

    index: int
    name: str
    compute_capability: str
    memory_bytes: int
    driver_cuda: str


def probe_gpu(index: int = 0) -> Gpu | None:
    """Find a GPU; None if there is no driver or no such device."""
    return probe(index)[0]


def probe(index: int = 0) -> tuple[Gpu | None, str]:
    """Find a GPU, and the reason if there is none (empty if there is one)."""
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return None, 'no NVIDIA driver (libcuda.so.1 is not found)'
    if (status := cuda.cuInit(0)) != 0:
        return None, f'the NVIDIA driver does not start (cuInit: {status})'
    count = _integer(cuda.cuDeviceGetCount)
    if index >= count:
        return None, f'the driver lists {count} GPUs, none has number {index}'
    device = _integer(cuda.cuDeviceGet, index)
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    major, minor = (
        _integer(cuda.cuDeviceGetAttribute, attribute, device)
        for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR)
    )
    memory = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    version = _integer(cuda.cuDriverGetVersion)
    gpu = Gpu(
        index, name.value.decode(errors='replace'), f'{major}.{minor}', memory.value,
        f'{version // 1000}.{version % 1000 // 10}',
    )
    return gpu, ''


def _integer(function: Callable[..., int], *arguments: int) -> int:
    """Value that a driver function writes through its first argument; 0 if it fails."""
    value = ctypes.c_int(0)
    status = function(ctypes.byref(value), *arguments)
    return value.value if status == 0 else 0
