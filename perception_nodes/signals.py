# SPDX-License-Identifier: Apache-2.0
"""Being asked to end (Ctrl-C, SIGTERM, SIGHUP): one line, no traceback, nothing left behind.

While a command only imports, it ends on the spot. Once it works, the signal becomes an exception
in the main thread, so that every ``with`` and ``finally`` on the way out cleans up. Whatever the
exception turns into there, ``received`` still says that it began with a signal.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = [
    'INTERRUPT', 'TOLD', 'Interrupted', 'deferred', 'exit_at_once', 'ignored',
    'raise_interrupted', 'received', 'total',
]

INTERRUPT = int(signal.SIGINT)
TOLD = {INTERRUPT: 'interrupted', int(signal.SIGTERM): 'terminated', int(signal.SIGHUP): 'hung up'}
IMPATIENT = 3  # the third signal does not wait for cleaning up any more
AGAIN_S = 0.1

_received: list[int] = []


def total() -> int:
    """How many signals have asked to end since the process began."""
    return len(_received)


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""


def received() -> int:
    """Number of the last signal that asked to end, 0 if none did."""
    return _received[-1] if _received else 0


def exit_at_once(program: str) -> None:
    """While nothing is written yet: print one line and exit with status 128 + signal."""
    def end(number: int, _: FrameType | None) -> None:
        os.write(2, f'{program}: {TOLD[number]}\n'.encode())
        os._exit(128 + number)

    _handle(end)


def raise_interrupted() -> None:
    """From here on a signal raises Interrupted in the main thread."""
    def interrupt(number: int, _: FrameType | None) -> None:
        _received.append(number)
        if len(_received) >= IMPATIENT:
            os._exit(128 + number)
        if len(_received) == 1:
            raise Interrupted

    before = sys.unraisablehook

    def lost(event: 'sys.UnraisableHookArgs') -> None:
        """An exception out of a destructor or callback goes nowhere: ask once more."""
        if isinstance(event.exc_value, Interrupted):
            number = _received.pop()
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
        elif not _received:
            before(event)

    sys.unraisablehook = lost
    _handle(interrupt)


@contextmanager
def ignored() -> Iterator[None]:
    """Leave Ctrl-C to this process alone: what is started in the block ignores it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Only remember a signal, for a loop that looks between two steps whether it shall end."""
    before, earlier = {number: signal.getsignal(number) for number in TOLD}, len(_received)
    _handle(lambda number, _: _received.append(number))
    try:
        yield lambda: len(_received) > earlier
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(handler: 'signal._HANDLER') -> None:
    for number in TOLD:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, handler)
