# SPDX-License-Identifier: Apache-2.0
"""Memory of this process.

Not from getrusage: its peak survives exec, so a small process started by a large one shows the
large one's.
"""

import resource
from pathlib import Path

STATUS = Path('/proc/self/status')


def memory_mb() -> float:
    """Resident memory now, MB."""
    return _status('VmRSS')


def peak_memory_mb() -> float:
    """Largest resident memory since the program started, MB."""
    return _status('VmHWM')


def _status(field: str) -> float:
    try:
        for line in STATUS.read_text(encoding='ascii', errors='replace').splitlines():
            if line.startswith(f'{field}:'):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError, IndexError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
