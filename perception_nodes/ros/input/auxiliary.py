# SPDX-License-Identifier: Apache-2.0
"""Auxiliary inputs from other nodes: kept by stamp until their frame is processed."""

from typing import Any

from perception_nodes.pipelines.tasks import AuxiliaryInput

MAX_KEPT = 30
KEPT_NS = 5_000_000_000


class AuxiliaryResults:
    """Messages of other nodes.

    Attributes
    ----------
    expected : tasks that somebody publishes now; no frame waits for others.
    """

    def __init__(self, inputs: tuple[AuxiliaryInput, ...]) -> None:
        self._inputs = inputs
        self._results: dict[str, dict[int, dict[str, Any]]] = {
            entry.task: {} for entry in inputs
        }
        self.expected: set[str] = set()

    def add(self, task: str, topic: str, stamp_ns: int, message: Any) -> None:
        """Take one topic of a result."""
        results = self._results[task]
        results.setdefault(stamp_ns, {})[topic] = message
        while len(results) > MAX_KEPT:
            del results[next(iter(results))]

    def complete(self, stamp_ns: int) -> bool:
        """Whether everything that a frame can expect is there.

        What is taken by time is, once a result as new as the frame has come.
        """
        for wanted in self._inputs:
            if wanted.task not in self.expected:
                continue
            results = self._results[wanted.task]
            if wanted.by_time:
                if not any(other >= stamp_ns for other in results):
                    return False
            elif len(results.get(stamp_ns, ())) < len(wanted.topics):
                return False
        return True

    def collect(self, stamp_ns: int) -> dict[str, list[dict[str, Any]]]:
        """Return what is there for a frame, by task; forgets what is too old for any later one."""
        found = {}
        for wanted in self._inputs:
            results = self._results[wanted.task]
            if wanted.by_time:
                found[wanted.task] = _around(results, stamp_ns)
            elif len(results.get(stamp_ns, ())) == len(wanted.topics):
                found[wanted.task] = [results[stamp_ns]]
            for old in [other for other in results if other < stamp_ns - KEPT_NS]:
                del results[old]
        return {task: messages for task, messages in found.items() if messages}

    def forget_after(self, stamp_ns: int) -> None:
        """Time jumped back: what is of a later time does not belong to what comes now."""
        for results in self._results.values():
            for other in [other for other in results if other > stamp_ns]:
                del results[other]


def _around(results: dict[int, dict[str, Any]], stamp_ns: int) -> list[dict[str, Any]]:
    """The last result up to a stamp and the first one from it on; one if it is the same."""
    before = sorted(other for other in results if other <= stamp_ns)[-1:]
    after = sorted(other for other in results if other >= stamp_ns)[:1]
    return [results[other] for other in sorted({*before, *after})]
