# SPDX-License-Identifier: Apache-2.0
"""Left and right images of one moment, found by their stamps."""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from perception_nodes.time_order import CLOCK_JUMP_S, Arrival, TimeOrder
from perception_nodes.types import PerceptionError

Item = TypeVar('Item')
LEFT, RIGHT = 0, 1

# Defaults of live nodes, replay and evaluation. 5 ms are well below
# half the interval of a 60 Hz camera; 30 images are a second of most cameras.
PAIR_TOLERANCE_NS = 5_000_000
PAIR_CAPACITY = 30


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    stamp_ns: int
    item: Item


class StampPairer(Generic[Item]):
    """Pairs two streams whose stamps differ by a tolerance at most.

    Parameters
    ----------
    tolerance_ns : largest difference of a pair's stamps; 0 = equal stamps. Half the frame
        interval or more would pair neighbours.
    capacity : items that wait on each side; the oldest are given up.
    clock_jump_s : a stream that jumps back by this much restarts; items that come late by less
        are still paired, and the caller decides what to do with a late pair.

    Attributes
    ----------
    paired : pairs given out.
    unpaired : items given up, (left, right).
    nearest_gap_ns : smallest difference ever seen between a new item and those waiting on the
        other side when nothing matched; None if there was none. Shown in diagnostics.
    """

    def __init__(
        self, tolerance_ns: int = 0, capacity: int = PAIR_CAPACITY,
        clock_jump_s: float = CLOCK_JUMP_S,
    ) -> None:
        if tolerance_ns < 0 or capacity < 1:
            raise PerceptionError(
                f'stamp tolerance {tolerance_ns} ns must be >= 0 and capacity {capacity} >= 1'
            )
        self.tolerance_ns = tolerance_ns
        self.capacity = capacity
        self.paired = 0
        self.unpaired = [0, 0]
        self.nearest_gap_ns: int | None = None
        self._waiting: tuple[deque[_Waiting[Item]], ...] = (deque(), deque())
        self._order = (TimeOrder(clock_jump_s), TimeOrder(clock_jump_s))

    def left(self, stamp_ns: int, item: Item) -> tuple[Item, Item] | None:
        """Add a left item; return (left, right) if its partner was waiting."""
        return self._add(LEFT, stamp_ns, item)

    def right(self, stamp_ns: int, item: Item) -> tuple[Item, Item] | None:
        """Add a right item; return (left, right) if its partner was waiting."""
        return self._add(RIGHT, stamp_ns, item)

    def clear(self) -> None:
        """Give up everything that waits."""
        for side in (LEFT, RIGHT):
            self.unpaired[side] += len(self._waiting[side])
            self._waiting[side].clear()
            self._order[side].forget()

    def _add(self, side: int, stamp_ns: int, item: Item) -> tuple[Item, Item] | None:
        if self._order[side].take(stamp_ns) is Arrival.JUMPED:
            self._forget_future(stamp_ns)
        others = self._waiting[1 - side]
        partner = min(others, key=lambda other: abs(other.stamp_ns - stamp_ns), default=None)
        gap = None if partner is None else abs(partner.stamp_ns - stamp_ns)
        if partner is None or gap is None or gap > self.tolerance_ns:
            if gap is not None:
                self.nearest_gap_ns = min(gap, self.nearest_gap_ns or gap)
            self._wait(side, _Waiting(stamp_ns, item))
            return None
        self._give_up_to(1 - side, partner.stamp_ns)
        others.popleft()
        self._give_up_to(side, stamp_ns)
        self.paired += 1
        return (item, partner.item) if side == LEFT else (partner.item, item)

    def _wait(self, side: int, entry: _Waiting[Item]) -> None:
        queue = self._waiting[side]
        later = sum(other.stamp_ns > entry.stamp_ns for other in queue)
        queue.insert(len(queue) - later, entry)
        if len(queue) > self.capacity:
            queue.popleft()
            self.unpaired[side] += 1

    def _give_up_to(self, side: int, stamp_ns: int) -> None:
        """Drop what is older than a pair: streams are in order, its partner will not come."""
        queue = self._waiting[side]
        while queue and queue[0].stamp_ns < stamp_ns:
            queue.popleft()
            self.unpaired[side] += 1

    def _forget_future(self, stamp_ns: int) -> None:
        """Time jumped back (a looped bag): what waits from later than now will never pair."""
        for side in (LEFT, RIGHT):
            kept = [
                entry for entry in self._waiting[side]
                if entry.stamp_ns <= stamp_ns + self.tolerance_ns
            ]
            self.unpaired[side] += len(self._waiting[side]) - len(kept)
            self._waiting[side].clear()
            self._waiting[side].extend(kept)
