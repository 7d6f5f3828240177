# SPDX-License-Identifier: Apache-2.0
"""GPU memory of a build, from TensorRT's log.

Its API reports an engine's memory only on a GPU that has loaded it. The log of a build has it
anywhere, even where an engine is built for a GPU that is not there. Log lines are no interface:
what a version words otherwise is None, and nothing depends on it.
"""

import re
from collections.abc import Iterable

_PARTS = ('Weights', 'Activation', 'Device Persistent')
_PEAK = re.compile(r'Peak memory usage of TRT CPU/GPU memory allocators:.* GPU (\d+) MiB')


def gpu_memory(notes: Iterable[str]) -> dict[str, float | None]:
    """Read the log of a build.

    Returns
    -------
    engine_gpu_mb : what the engine will hold on the GPU: weights, layers' scratch and outputs.
    build_gpu_mb : most that building held on the GPU at once; 0 if it used none.
    """
    parts: dict[str, int] = {}
    peak: float | None = None
    for note in notes:
        for part in _PARTS:
            if match := re.search(rf'Total {part} Memory: (\d+) bytes', note):
                parts[part] = int(match[1])
        if match := _PEAK.search(note):
            peak = float(match[1])
    known = {'Weights', 'Activation'} <= set(parts)
    return {
        'engine_gpu_mb': round(sum(parts.values()) / 2**20, 1) if known else None,
        'build_gpu_mb': peak,
    }
