# SPDX-License-Identifier: Apache-2.0
"""What went wrong lately: logged once a kind, counted always, reported in the diagnostics."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from perception_nodes.text import one_line

FRESH_S = 5.0
MAX_KINDS = 30
# Somebody who sends new nonsense all day must not fill the disk.
MAX_LOGGED = 100


@dataclass(frozen=True)
class Problem:
    """One kind of problem.

    Attributes
    ----------
    kind : groups what is the same trouble again; the log has each kind once.
    message : of the latest time, one line.
    count : how often so far. last_s : monotonic time of the latest.
    """

    kind: str
    message: str
    count: int
    last_s: float


class Problems:
    """All kinds of problems of a node, from any thread.

    Parameters
    ----------
    log : writes a line to the node's log; called once for each kind.
    """

    def __init__(self, log: Callable[[str], object]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._problems: dict[str, Problem] = {}
        self._logged = 0

    def add(self, message: str, kind: str = '') -> None:
        """Note one; the first of its kind is logged.

        Parameters
        ----------
        kind : '' = the message without its numbers.
        """
        line = one_line(message)
        kind = one_line(kind) or re.sub(r'[\d.]+', '#', line)
        with self._lock:
            before = self._problems.pop(kind, None)
            count = before.count + 1 if before else 1
            self._problems[kind] = Problem(kind, line, count, time.monotonic())
            while len(self._problems) > MAX_KINDS:
                del self._problems[next(iter(self._problems))]
            logged = count == 1 and self._logged < MAX_LOGGED
            self._logged += logged
            last = logged and self._logged == MAX_LOGGED
        if logged:
            self._log(f'{line} (further ones are counted in /diagnostics)')
        if last:
            self._log(f'{MAX_LOGGED} kinds of problems are logged; others are in /diagnostics')

    def clear(self) -> None:
        """Forget all, so that each kind is logged again should it come back."""
        with self._lock:
            self._problems.clear()
            self._logged = 0

    def all(self) -> tuple[Problem, ...]:
        """Every kind since the start."""
        with self._lock:
            return tuple(self._problems.values())

    def fresh(self) -> tuple[Problem, ...]:
        """Those of the last FRESH_S, the latest first."""
        now = time.monotonic()
        found = [problem for problem in self.all() if now - problem.last_s <= FRESH_S]
        return tuple(sorted(found, key=lambda problem: -problem.last_s))
