# SPDX-License-Identifier: Apache-2.0
"""The one thread of a node that computes, so that its executor stays free to answer."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from perception_nodes.ros.node.mailbox import Mailbox

T = TypeVar('T')


class Worker(Generic[T]):
    """Runs ``work(item)`` on the newest item of its mailbox, and jobs between items.

    Parameters
    ----------
    work : what to do with an item.
    failed : told of what ``work`` or a job raised. The thread goes on: a node does not die of
        one frame.
    name : of the thread.
    """

    def __init__(
        self, work: Callable[[T], None], failed: Callable[[Exception], None], name: str
    ) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self._work = work
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, do the waiting jobs, end; returns when the thread is gone."""
        self.mailbox.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (taken := self.mailbox.take()) is not None:
            try:
                if callable(taken):
                    taken()
                else:
                    self._work(taken)
            except Exception as error:  # whatever it was, the next frame may be good
                self._failed(error)
