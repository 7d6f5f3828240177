# SPDX-License-Identifier: Apache-2.0
"""Left and right images of one moment: by our own pairer, or by a policy of message_filters.

docs/ecosystem.md says where they differ.
"""

from typing import Any, Protocol

from perception_nodes.messages.pairing import LEFT, RIGHT, StampPairer
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.ros.input.libraries import MESSAGE_FILTERS, load_library
from perception_nodes.ros.input.raw_frame import Assembly
from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import PerceptionError

Pair = tuple[Any, Any]


class Pairer(Protocol):
    """What pairs images; see StampPairer for the meaning of its attributes."""

    paired: int
    unpaired: list[int]
    nearest_gap_ns: int | None

    def left(self, stamp_ns: int, item: Any) -> Pair | None:
        """Add a left image; give (left, right) if that makes a pair."""

    def right(self, stamp_ns: int, item: Any) -> Pair | None:
        """Add a right image; give (left, right) if that makes a pair."""


def open_pairer(assembly: Assembly) -> Pairer:
    """Make the pairer that ``assembly.sync`` names.

    Raises
    ------
    PerceptionError
        If it needs message_filters and that is not installed.
    """
    if assembly.sync == 'own':
        return StampPairer[Any](
            assembly.tolerance_ns, assembly.capacity, assembly.clock_jump_s
        )
    return PolicyPairer(assembly)


class PolicyPairer:
    """A synchroniser of message_filters behind the interface of StampPairer.

    The synchroniser calls back while it holds its lock and gives it back only if nothing is
    raised. So the callback only stores the pair; and when the synchroniser itself raises, or the
    clock goes back (old stamps would be the first that its full queues throw away), it is replaced
    by a new one. That costs what waited in it.

    Parameters
    ----------
    assembly : ``sync`` is 'exact' or 'approximate'; ``tolerance_ns`` is the slop of the latter,
        ``capacity`` the queue_size of both.
    """

    def __init__(self, assembly: Assembly) -> None:
        self._filters = load_library(MESSAGE_FILTERS, f'sync: {assembly.sync}')
        self._assembly = assembly
        self.paired = 0
        self.unpaired = [0, 0]
        self.nearest_gap_ns: int | None = None
        self._order = (TimeOrder(assembly.clock_jump_s), TimeOrder(assembly.clock_jump_s))
        self._made: list[Pair] = []
        self._waiting: tuple[set[int], set[int]] = (set(), set())
        self._restart()

    def left(self, stamp_ns: int, item: Any) -> Pair | None:
        """Add a left image; give (left, right) if that makes a pair."""
        return self._add(LEFT, stamp_ns, item)

    def right(self, stamp_ns: int, item: Any) -> Pair | None:
        """Add a right image; give (left, right) if that makes a pair."""
        return self._add(RIGHT, stamp_ns, item)

    def _restart(self) -> None:
        """Make the synchroniser anew, with empty queues and a free lock."""
        policies, capacity = self._filters, self._assembly.capacity
        self._inputs = [policies.SimpleFilter(), policies.SimpleFilter()]
        self._synchronizer = (
            policies.TimeSynchronizer(self._inputs, capacity)
            if self._assembly.sync == 'exact' else
            policies.ApproximateTimeSynchronizer(
                self._inputs, capacity, self._assembly.tolerance_ns / 1e9
            )
        )
        self._synchronizer.registerCallback(self._store)
        for side in (LEFT, RIGHT):
            self.unpaired[side] += len(self._waiting[side])
            self._waiting[side].clear()

    def _store(self, left: Any, right: Any) -> None:
        self._made.append((left, right))

    def _add(self, side: int, stamp: int, message: Any) -> Pair | None:
        if self._order[side].take(stamp) is Arrival.JUMPED:
            self._restart()
            self._order[1 - side].forget()  # it follows; once is enough
        self._made.clear()
        try:
            self._inputs[side].signalMessage(message)
        except Exception as error:
            self._restart()
            raise PerceptionError(f'message_filters: {error!r}') from None
        if not self._made:
            self._note_waiting(side, stamp)
            return None
        pair = self._made[-1]
        for other, paired in enumerate(pair):
            self._waiting[other].discard(stamp_ns(paired.header.stamp))
        self.paired += 1
        return pair

    def _note_waiting(self, side: int, stamp: int) -> None:
        """Keep the stamps that the synchroniser keeps, for diagnostics."""
        gaps = [abs(stamp - other) for other in self._waiting[1 - side]]
        if self.nearest_gap_ns is not None:
            gaps.append(self.nearest_gap_ns)
        self.nearest_gap_ns = min(gaps, default=None)
        queue = self._waiting[side]
        queue.add(stamp)
        if len(queue) > self._assembly.capacity:
            queue.remove(min(queue))
            self.unpaired[side] += 1
