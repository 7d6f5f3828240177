# SPDX-License-Identifier: Apache-2.0
"""Hand-over from the executor to the worker: holds one frame, the newest."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')
Job = Callable[[], None]


class Mailbox(Generic[T]):
    """One place for the newest item, and a queue of jobs that must all be done.

    A frame that finds another one waiting replaces it: latency never queues up. Jobs (a reset, a
    map to save) are few and none is lost; they come before the next frame.
    """

    def __init__(self) -> None:
        self._item: T | None = None
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Leave an item; True if it replaced one. Never waits; ignored when closed."""
        with self._changed:
            if self._closed:
                return False
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def put_job(self, job: Job) -> bool:
        """Leave a job; False if closed, when nobody will do it."""
        with self._changed:
            if not self._closed:
                self._jobs.append(job)
                self._changed.notify()
            return not self._closed

    def take(self) -> T | Job | None:
        """Wait for a job or an item; None when closed and all jobs are taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._item is not None or self._closed)
            if self._jobs:
                return self._jobs.popleft()
            item, self._item = self._item, None
            return None if self._closed else item

    def forget(self) -> None:
        """Throw the waiting item away (it is of another time)."""
        with self._changed:
            self._item = None

    def close(self) -> None:
        """Take nothing more and let the worker end."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
