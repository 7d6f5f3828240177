# SPDX-License-Identifier: Apache-2.0
"""How fast frames come, go and are answered; written by two threads, read by a third."""

import threading
import time
from collections import Counter, deque

import numpy as np

WINDOW_S = 5.0
MAX_SAMPLES = 1000


class Statistics:
    """Rates over the last seconds, latencies of the last frames, counts since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times_s: dict[str, deque[float]] = {}
        self._latencies_ms: deque[float] = deque(maxlen=MAX_SAMPLES)
        self._counts: Counter[str] = Counter()

    def count(self, event: str, number: int = 1) -> None:
        """Count something that happened."""
        with self._lock:
            self._counts[event] += number
            times = self._times_s.setdefault(event, deque(maxlen=MAX_SAMPLES))
            times.extend([time.monotonic()] * min(number, MAX_SAMPLES))

    def latency(self, milliseconds: float) -> None:
        """Add the time from a frame's arrival to its answer."""
        with self._lock:
            self._latencies_ms.append(milliseconds)

    def counted(self, event: str) -> int:
        """How often it happened."""
        with self._lock:
            return self._counts[event]

    def recent(self, event: str, seconds: float = WINDOW_S) -> int:
        """How often it happened in the last seconds, MAX_SAMPLES at most."""
        since = time.monotonic() - seconds
        with self._lock:
            return sum(t >= since for t in self._times_s.get(event, ()))

    def rate_hz(self, event: str) -> float:
        """How often it happened per second over the last WINDOW_S."""
        now = time.monotonic()
        with self._lock:
            recent = [t for t in self._times_s.get(event, ()) if now - t <= WINDOW_S]
        if len(recent) < 2:
            return len(recent) / WINDOW_S
        # n events span n - 1 periods; a source that stopped is seen to fade.
        return len(recent) / max(now - recent[0], 1e-6)

    def seconds_since(self, event: str) -> float:
        """How long ago it last happened; inf if never."""
        with self._lock:
            times = self._times_s.get(event)
            return time.monotonic() - times[-1] if times else float('inf')

    def percentile_ms(self, percent: float) -> float:
        """Percentile of the latencies; NaN before the first."""
        with self._lock:
            latencies = list(self._latencies_ms)
        return float(np.percentile(latencies, percent)) if latencies else float('nan')
