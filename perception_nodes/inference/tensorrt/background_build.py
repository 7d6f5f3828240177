# SPDX-License-Identifier: Apache-2.0
"""Building an engine in another process while this one goes on serving."""

import subprocess
import threading
from collections.abc import Callable

from perception_nodes.child import python_command
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.inference.tensorrt.build_process import BuildReport
from perception_nodes.inference.tensorrt.engine_builder import EngineRequest
from perception_nodes.types import PerceptionError

STOP_SECONDS = 5.0
LOWEST_PRIORITY = 19


class BackgroundBuild:
    """One build under way. The attributes may be read at any time from any thread.

    Parameters
    ----------
    niceness : 0 = as important as this process, 19 = only with what others leave over.

    Attributes
    ----------
    phase, fraction : what the builder does and how far it is, 0..1.
    error : why it failed; '' while it runs and if it succeeded.
    path, reason : of the engine, and why it had to be built (known at the end).
    """

    def __init__(self, request: EngineRequest, niceness: int = LOWEST_PRIORITY) -> None:
        self.phase, self.fraction = 'starting', 0.0
        self.error, self.path, self.reason = '', '', ''
        self._finished = False
        self._stopped = False
        self.process = subprocess.Popen(
            python_command(
                'perception_nodes.inference.tensorrt.build_process:main', to_json(request),
                str(niceness),
            ),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def wait(self, listener: Callable[['BackgroundBuild'], None] | None = None) -> str:
        """Follow the process to its end, telling the listener of each step.

        Returns
        -------
        the error, or '' if the engine is in the cache.
        """
        # its stderr is kept apart and read at the same time: a full pipe would stop it
        complaints: list[str] = []
        reader = threading.Thread(
            target=complaints.extend, args=(self.process.stderr,), daemon=True
        )
        reader.start()
        for line in self.process.stdout or ():
            self._take(line)
            if listener is not None:
                listener(self)
        status = self.process.wait()
        reader.join()
        if self._stopped and not self._finished:
            self.error = self.error or 'building was stopped'
        elif not self._finished and not self.error:
            last = complaints[-1].strip() if complaints else 'it printed nothing'
            self.error = f'the building process ended with status {status}: {last[:200]}'
        return self.error

    def stop(self) -> None:
        """End it: politely, and after five seconds for certain. Nothing half-written is left."""
        self._stopped = True
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _take(self, line: str) -> None:
        try:
            report = decode_json(line, BuildReport)
        except PerceptionError:
            return  # a library that prints
        if report.phase:
            self.phase, self.fraction = report.phase, max(self.fraction, report.fraction)
        self.error = report.error or self.error
        if report.path:
            self._finished, self.fraction = True, 1.0
            self.path, self.reason = report.path, report.reason
