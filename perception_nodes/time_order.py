# SPDX-License-Identifier: Apache-2.0
"""Whether a stamp is the next one, late, or a time jump.

Drivers and transports swap neighbouring messages now and then; that is no reason to forget the
past. A clock that goes back for good (a looped bag, a simulator that starts again) is, and it goes
back by seconds. Pipelines, pairing, replay and live nodes all decide by this one rule.
"""

from enum import Enum, auto

from perception_nodes.types import PerceptionError

CLOCK_JUMP_S = 1.0


class Arrival(Enum):
    """What a stamp is, compared with the newest one before it."""

    NEXT = auto()  # newer, or the first
    REPEATED = auto()  # the newest one again
    LATE = auto()  # older by less than a jump: drop it
    JUMPED = auto()  # older by a jump: the clock went back, forget the past


class TimeOrder:
    """Classifies the stamps of one stream and counts what was not in order.

    Parameters
    ----------
    clock_jump_s : a stamp older than the newest by this much or more means that the clock went
        back; anything less is a late message. Seconds, > 0.

    Attributes
    ----------
    newest_ns : the newest stamp since the last jump; None at first.
    late, jumps : how many there were since the object was made.
    latest_ns : by how much the latest of the late ones was late, and the last jump went back.
    """

    def __init__(self, clock_jump_s: float = CLOCK_JUMP_S) -> None:
        if not 0.0 < clock_jump_s < 1e6:
            raise PerceptionError(
                f'clock_jump_s is {clock_jump_s:g}; it must be positive and at most 1e6 seconds'
            )
        self.clock_jump_ns = round(clock_jump_s * 1e9)
        self.newest_ns: int | None = None
        self.late = 0
        self.jumps = 0
        self.latest_ns = 0
        self.jumped_ns = 0

    def take(self, stamp_ns: int) -> Arrival:
        """Take the stamp of a message that just arrived."""
        newest = self.newest_ns
        if newest is None or stamp_ns > newest:
            self.newest_ns = stamp_ns
            return Arrival.NEXT
        if stamp_ns == newest:
            return Arrival.REPEATED
        behind_ns = newest - stamp_ns
        if behind_ns < self.clock_jump_ns:
            self.late += 1
            self.latest_ns = max(self.latest_ns, behind_ns)
            return Arrival.LATE
        self.jumps += 1
        self.jumped_ns = behind_ns
        self.newest_ns = stamp_ns
        return Arrival.JUMPED

    def forget(self) -> None:
        """Treat the next stamp as the first; the counts stay."""
        self.newest_ns = None

    def complaints(self) -> tuple[str, ...]:
        """One line for each kind of disorder that there was, for notes and diagnostics (WARN)."""
        found = []
        if self.late:
            found.append(
                f'{self.late} late {"frame was" if self.late == 1 else "frames were"} dropped '
                f'(the latest by {self.latest_ns / 1e6:.1f} ms): messages arrive out of order'
            )
        if self.jumps:
            found.append(
                f'the clock went back {self.jumps} {"time" if self.jumps == 1 else "times"} '
                f'(the last time by {self.jumped_ns / 1e9:.1f} s): what was remembered was dropped'
            )
        return tuple(found)
