# SPDX-License-Identifier: Apache-2.0
"""The worker thread of a node, which computes while the executor serves callbacks."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from perception_nodes.ros.node.mailbox import Mailbox

T = TypeVar('T')


class Worker(Generic[T]):
    """Runs ``work(item)`` on the newest item of its mailbox, and jobs between items.

    Parameters
    ----------
    work : what to do with an item.
    failed : called with what ``work`` or a job raised. The thread goes on: one frame does not
        end a node.
    name : of the thread.
    """

    def __init__(
        self, work: Callable[[T], None], failed: Callable[[Exception], None], name: str
    ) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self._work = work
        self._failed = failed
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def busy_s(self) -> float:
        """How long it has been at the item or job that it works on; 0 while it waits."""
        since = self._busy_since_s
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience_s: float) -> bool:
        """Finish what is under way, do the waiting jobs, end.

        Parameters
        ----------
        patience_s : how long to wait for that.

        Returns
        -------
        whether the thread is gone; False if it hangs. It may touch whatever it was given then.
        """
        self.mailbox.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(patience_s)
            return not self._thread.is_alive()
        return True

    def _run(self) -> None:
        while (taken := self.mailbox.take()) is not None:
            self._busy_since_s = time.monotonic()
            try:
                if callable(taken):
                    taken()
                else:
                    self._work(taken)
            except Exception as error:  # whatever it was, the next frame may be good
                self._failed(error)
            finally:
                self._busy_since_s = None
