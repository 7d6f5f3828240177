# SPDX-License-Identifier: Apache-2.0
"""The time of one call, as every scorer measures it."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ['timed']

Result = TypeVar('Result')


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return the call's result and its wall time in milliseconds."""
    start_ns = time.perf_counter_ns()
    result = call()
    return result, (time.perf_counter_ns() - start_ns) / 1e6
