# SPDX-License-Identifier: Apache-2.0
"""From single messages to frames: pairs, their camera_info, and what other nodes send of them.

Runs in the executor's callbacks, so it only moves references; decoding is the worker's.

Left and right are paired as the parameter ``sync`` says (pairers). What comes after that, a frame
that waits for its camera_info or for a result of another node, frames that are late and time that
jumps back, is the same for all of them; message_filters knows none of it.
"""

import time
from collections.abc import Callable
from typing import Any

from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.ros.input.auxiliary import AuxiliaryResults
from perception_nodes.ros.input.calibration import Calibration
from perception_nodes.ros.input.pairers import Pairer, open_pairer
from perception_nodes.ros.input.raw_frame import LEFT, Assembly, RawFrame
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.time_order import Arrival, TimeOrder

# Frames are large; whoever waits for longer than this takes goes on without.
MAX_WAITING = 10


class Assembler:
    """Makes frames and passes them on, in the order of their stamps.

    A frame that comes late (``time_order``) is dropped; when the clock jumped back, what waits is
    dropped. If nothing but late frames comes for as long as a jump is, the clock went back by
    less and does not catch up (a short recording in a loop): that is a jump, too.

    Parameters
    ----------
    statistics : counts 'late', 'time jump', 'repeated stamp' and 'bad'.
    problems : notes why a frame has no camera_info.
    emit : takes a frame; must not wait.
    time_jumped : called before the first frame of the earlier time.

    Attributes
    ----------
    order : of the frames. pairer : of left and right images.
    auxiliary_results : what other nodes sent.
    repeated : frames in a row, the newest included, that had the stamp of the one before.
    """

    def __init__(
        self, assembly: Assembly, statistics: Statistics, problems: Problems,
        emit: Callable[[RawFrame], None], time_jumped: Callable[[], None],
    ) -> None:
        self._stereo, self._wait_s = assembly.stereo, assembly.wait_s
        self._clock_jump_s = assembly.clock_jump_s
        self._late_since_s: float | None = None
        self.statistics, self.problems = statistics, problems
        self._emit, self._time_jumped = emit, time_jumped
        self.pairer: Pairer = open_pairer(assembly)
        self.order = TimeOrder(assembly.clock_jump_s)
        self.auxiliary_results = AuxiliaryResults(assembly.auxiliary)
        self.repeated = 0
        self._calibration = Calibration(
            assembly.infos, assembly.info_max_age_s, self._calibrated, self._refused
        )
        self._waiting: list[RawFrame] = []

    @property
    def infos(self) -> dict[str, Any]:
        """The newest camera_info of each side that has one."""
        return self._calibration.newest

    @property
    def waiting(self) -> bool:
        """Whether a frame waits for something, so that ``tick`` has to be called."""
        return bool(self._waiting) or self._calibration.waiting

    def image(self, side: str, message: Any) -> None:
        """Take an image; PerceptionError if its stamp is none."""
        stamp = stamp_ns(message.header.stamp)
        if not self._stereo:
            self._frame(RawFrame(stamp, message, arrived_s=time.monotonic()))
            return
        add = self.pairer.left if side == LEFT else self.pairer.right
        pair = add(stamp, message)
        if pair is not None:
            stamp = stamp_ns(pair[0].header.stamp)
            self._frame(RawFrame(stamp, *pair, arrived_s=time.monotonic()))

    def info(self, side: str, message: Any, *, latched: bool = False) -> None:
        """Take a camera_info; frames that waited for it go on now."""
        self._calibration.info(side, message, latched=latched)

    def auxiliary(self, task: str, topic: str, message: Any) -> None:
        """Take one topic of another node's result."""
        self.auxiliary_results.add(task, topic, stamp_ns(message.header.stamp), message)
        self._release()

    def tick(self) -> None:
        """Pass on what has waited long enough; called by a timer while something waits."""
        self._calibration.tick()
        self._release()

    def _frame(self, frame: RawFrame) -> None:
        arrival = self.order.take(frame.stamp_ns)
        self.repeated = self.repeated + 1 if arrival is Arrival.REPEATED else 0
        if arrival is Arrival.LATE and self._keeps_being_late():
            self.order.forget()
            self.order.take(frame.stamp_ns)
            arrival = Arrival.JUMPED
        if arrival is Arrival.LATE:
            self.statistics.count('late')
            return
        self._late_since_s = None
        if arrival is Arrival.REPEATED:
            self.statistics.count('repeated stamp')
        if arrival is Arrival.JUMPED:
            self.statistics.count('time jump')
            self._calibration.clear()
            self._waiting.clear()
            self.auxiliary_results.forget_after(frame.stamp_ns)
            self._time_jumped()
        self._calibration.frame(frame)

    def _keeps_being_late(self) -> bool:
        now = time.monotonic()
        if self._late_since_s is None:
            self._late_since_s = now
        return now - self._late_since_s >= self._clock_jump_s

    def _calibrated(self, frame: RawFrame) -> None:
        self._waiting.append(frame)
        self._release()

    def _refused(self, reason: str) -> None:
        self.statistics.count('bad')
        self.problems.add(reason)

    def _release(self) -> None:
        """Pass on what waits for nothing more, with everything before it."""
        now = time.monotonic()
        done = 0
        for number, frame in enumerate(self._waiting, 1):
            out_of_time = now - frame.arrived_s >= self._wait_s
            if out_of_time or self.auxiliary_results.complete(frame.stamp_ns):
                done = number
        done = max(done, len(self._waiting) - MAX_WAITING)
        ready, self._waiting = self._waiting[:done], self._waiting[done:]
        for frame in ready:
            frame.auxiliary.update(self.auxiliary_results.collect(frame.stamp_ns))
            self._emit(frame)
