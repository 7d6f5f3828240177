# SPDX-License-Identifier: Apache-2.0
"""From single messages to frames: pairs, their camera_info, and what other nodes say of them.

Runs in the executor's callbacks, so it only moves references; decoding is the worker's.

message_filters is not used even where it is installed: its synchroniser holds a lock while it
calls back, says nothing when stamps never pair, and knows neither frames that wait for a result
of another node nor time that goes back. The pairer is the one that replay uses, so both pair
alike. Images are decoded by messages.image rather than cv_bridge for the same reason.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from perception_nodes.messages.pairing import StampPairer
from perception_nodes.messages.primitives import stamp_ns

LEFT, RIGHT = 'left', 'right'
MAX_WAITING = 30


@dataclass(frozen=True)
class RawFrame:
    """The messages of one moment.

    Attributes
    ----------
    left, right : image messages; of one camera, left alone.
    left_info, right_info : the newest camera_info, None where none came or none is needed.
    auxiliary : by task, the messages by topic that another node sent for this very stamp; of
        what comes by time, those around it ('before', 'after').
    arrived_s : monotonic time at which the last image of it came.
    """

    stamp_ns: int
    left: Any
    right: Any = None
    left_info: Any = None
    right_info: Any = None
    auxiliary: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived_s: float = 0.0


@dataclass(frozen=True)
class AuxiliaryInput:
    """What another node sends about the same images.

    Attributes
    ----------
    task : whose result it is. topics : all that belong to one result.
    by_time : the result need not have the image's stamp (odometry: it is interpolated); it is
        complete once a message as new as the image has come.
    """

    task: str
    topics: tuple[str, ...]
    by_time: bool = False


class Assembler:
    """Makes frames and hands them on, in the order of their stamps.

    Parameters
    ----------
    emit : takes a frame; must not wait.
    time_jumped : called before the first frame whose stamp is older than the one before.
    stereo : whether a frame is a pair. infos : sides that need a camera_info.
    tolerance_ns : of the stamps of a pair.
    auxiliary : what a frame may wait for, and wait_s how long.

    Attributes
    ----------
    expected : tasks of auxiliary inputs that somebody publishes now; no frame waits for others.
    frames : emitted so far. without_info : images that had to wait for their camera_info.
    """

    def __init__(
        self, emit: Callable[[RawFrame], None], time_jumped: Callable[[], None], *, stereo: bool,
        infos: tuple[str, ...], tolerance_ns: int, auxiliary: tuple[AuxiliaryInput, ...] = (),
        wait_s: float = 0.0,
    ) -> None:
        self._emit, self._time_jumped = emit, time_jumped
        self._stereo = stereo
        self._needed_infos = infos
        self._auxiliary = auxiliary
        self._wait_s = wait_s
        self.pairer: StampPairer[Any] = StampPairer(tolerance_ns)
        self.infos: dict[str, Any] = {}
        self.expected: set[str] = set()
        self.frames = 0
        self.without_info = 0
        self._no_info: RawFrame | None = None
        self._waiting: list[RawFrame] = []
        self._results: dict[str, dict[int, dict[str, Any]]] = {
            entry.task: {} for entry in auxiliary
        }
        self._last_ns: int | None = None

    def image(self, side: str, message: Any) -> None:
        """Take an image; PerceptionError if its stamp is none."""
        stamp = stamp_ns(message.header.stamp)
        if not self._stereo:
            self._with_info(RawFrame(stamp, message, arrived_s=time.monotonic()))
            return
        add = self.pairer.left if side == LEFT else self.pairer.right
        pair = add(stamp, message)
        if pair is not None:
            stamp = stamp_ns(pair[0].header.stamp)
            self._with_info(RawFrame(stamp, *pair, arrived_s=time.monotonic()))

    def info(self, side: str, message: Any) -> None:
        """Take a camera_info; a frame that came before the first one goes on now."""
        self.infos[side] = message
        frame, self._no_info = self._no_info, None
        if frame is not None:
            self._with_info(frame)

    def auxiliary(self, task: str, topic: str, message: Any) -> None:
        """Take one topic of another node's result."""
        stamp = stamp_ns(message.header.stamp)
        results = self._results[task]
        results.setdefault(stamp, {})[topic] = message
        while len(results) > MAX_WAITING:
            del results[next(iter(results))]
        self.release()

    def release(self) -> None:
        """Hand on what waits for nothing more; called by a timer too, for those out of time."""
        now = time.monotonic()
        done = 0
        for number, frame in enumerate(self._waiting, 1):
            late = now - frame.arrived_s >= self._wait_s
            if late or self._complete(frame.stamp_ns):
                done = number
        ready, self._waiting = self._waiting[:done], self._waiting[done:]
        for frame in ready:
            frame.auxiliary.update(self._collect(frame.stamp_ns))
            self._hand_on(frame)

    def _with_info(self, frame: RawFrame) -> None:
        if any(side not in self.infos for side in self._needed_infos):
            self.without_info += 1
            self._no_info = frame
            return
        whole = RawFrame(
            frame.stamp_ns, frame.left, frame.right, self.infos.get(LEFT), self.infos.get(RIGHT),
            {}, frame.arrived_s,
        )
        newest = self._waiting[-1].stamp_ns if self._waiting else self._last_ns
        if newest is not None and frame.stamp_ns < newest:
            self._forget_after(frame.stamp_ns)
        self._waiting.append(whole)
        self.release()

    def _forget_after(self, stamp: int) -> None:
        """Time jumped back: what waits belongs to a later time than what comes now."""
        self._waiting.clear()
        for results in self._results.values():
            for other in [other for other in results if other > stamp]:
                del results[other]

    def _hand_on(self, frame: RawFrame) -> None:
        if self._last_ns is not None and frame.stamp_ns < self._last_ns:
            self._time_jumped()
        self._last_ns = frame.stamp_ns
        self.frames += 1
        self._emit(frame)

    def _complete(self, stamp: int) -> bool:
        """Whether every auxiliary input that can be expected is there."""
        if self._wait_s == 0.0:
            return True
        for wanted in self._auxiliary:
            if wanted.task not in self.expected:
                continue
            results = self._results[wanted.task]
            if wanted.by_time:
                if not any(other >= stamp for other in results):
                    return False
            elif len(results.get(stamp, ())) < len(wanted.topics):
                return False
        return True

    def _collect(self, stamp: int) -> dict[str, dict[str, Any]]:
        found = {}
        for wanted in self._auxiliary:
            results = self._results[wanted.task]
            if wanted.by_time:
                before = max((other for other in results if other <= stamp), default=None)
                after = min((other for other in results if other >= stamp), default=None)
                found[wanted.task] = {
                    name: results[other][wanted.topics[0]]
                    for name, other in (('before', before), ('after', after)) if other is not None
                }
            elif len(results.get(stamp, ())) == len(wanted.topics):
                found[wanted.task] = results[stamp]
            for old in [other for other in results if other < stamp - 5_000_000_000]:
                del results[old]
        return {task: messages for task, messages in found.items() if messages}
