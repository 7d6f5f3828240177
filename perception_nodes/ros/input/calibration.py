# SPDX-License-Identifier: Apache-2.0
"""Images wait here, briefly and in order, for their own camera_info."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from perception_nodes.messages.camera_infos import CameraInfos, Match
from perception_nodes.ros.input.raw_frame import LEFT, RIGHT, RawFrame
from perception_nodes.types import PerceptionError

# Of the timer; counted in its calls and not in time: when the executor stood still, whatever came
# meanwhile is taken before a frame is given up.
WAIT_TICKS = 10
MAX_WAITING = 6


@dataclass
class _Waiting:
    frame: RawFrame
    ticks: int = 0


class _Side:
    """One camera's infos, and whether each image can expect one of its own stamp."""

    def __init__(self, max_age_s: float) -> None:
        self.infos = CameraInfos(max_age_s)
        self.expects_own = False
        self._own_in_a_row, self._wanted = 0, 1

    def matched(self, match: Match) -> None:
        """Learn from a match; a stream that failed once has to prove itself twice."""
        if match.exact:
            self._own_in_a_row += 1
            self.expects_own = self._own_in_a_row >= self._wanted
            return
        if self.expects_own:
            self._wanted = 2
        self._own_in_a_row, self.expects_own = 0, False


class Calibration:
    """Gives each image the camera_info that belongs to it (messages.camera_infos).

    Where camera_infos come with the images' stamps, an image waits a moment for its own, which
    may come after it. Before the first camera_info the newest image waits without end.

    Parameters
    ----------
    needed : sides that need one. max_age_s : of one that has not the image's stamp.
    emit : takes a frame with its infos. refuse : takes the reason why a frame has none.

    Attributes
    ----------
    without_info : frames that were given up before the first camera_info came.
    """

    def __init__(
        self, needed: tuple[str, ...], max_age_s: float, emit: Callable[[RawFrame], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._sides = {side: _Side(max_age_s) for side in needed}
        self._emit, self._refuse = emit, refuse
        self._waiting: list[_Waiting] = []
        self.without_info = 0

    @property
    def waiting(self) -> bool:
        """Whether the timer is needed: not before the first camera_info."""
        return bool(self._waiting) and self._all_known

    @property
    def newest(self) -> dict[str, Any]:
        """The newest camera_info of each side that has one."""
        return {side: it.infos.newest for side, it in self._sides.items() if len(it.infos)}

    def info(self, side: str, message: Any, *, latched: bool = False) -> None:
        """Take a camera_info; PerceptionError if its stamp is none."""
        self._sides[side].infos.add(message, latched=latched)
        self._release()

    def frame(self, frame: RawFrame) -> None:
        """Take images, in the order of their stamps."""
        if self._waiting and not self._all_known:
            self.without_info += len(self._waiting)
            self._waiting.clear()
        self._waiting.append(_Waiting(frame))
        self._release()

    def tick(self) -> None:
        """Look whose time is up."""
        for entry in self._waiting:
            entry.ticks += 1
        self._release()

    def clear(self) -> None:
        """Return up what waits: it is of another time."""
        self._waiting.clear()

    @property
    def _all_known(self) -> bool:
        return all(len(side.infos) for side in self._sides.values())

    def _release(self) -> None:
        if not self._all_known:
            return
        done = max(
            (number for number, entry in enumerate(self._waiting, 1) if self._is_done(entry)),
            default=0,
        )
        done = max(done, len(self._waiting) - MAX_WAITING)
        ready, self._waiting = self._waiting[:done], self._waiting[done:]
        for entry in ready:
            self._finish(entry.frame)

    def _is_done(self, entry: _Waiting) -> bool:
        """Whether a frame has what it can expect, or has waited long enough."""
        if entry.ticks >= WAIT_TICKS:
            return True
        for name, side in self._sides.items():
            try:
                match = side.infos.find(_image(entry.frame, name))
            except PerceptionError:
                return False  # the right one may be on its way
            if side.expects_own and not match.exact:
                return False
        return True

    def _finish(self, frame: RawFrame) -> None:
        infos: dict[str, Any] = {}
        for name, side in self._sides.items():
            try:
                match = side.infos.find(_image(frame, name))
            except PerceptionError as error:
                self._refuse(f'{name} {error}' if RIGHT in self._sides else str(error))
                return
            side.matched(match)
            infos[name] = match.info
        self._emit(replace(frame, left_info=infos.get(LEFT), right_info=infos.get(RIGHT)))


def _image(frame: RawFrame, side: str) -> Any:
    return frame.left if side == LEFT else frame.right
