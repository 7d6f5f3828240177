# SPDX-License-Identifier: Apache-2.0
"""The process that builds an engine for a node; its arguments are REQUEST and NICENESS.

REQUEST is an EngineRequest as JSON, NICENESS 0..19. It ends with the process that started it,
stops building when asked to end, and reports its progress as one BuildReport per line, as JSON.
"""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

from perception_nodes import signals
from perception_nodes.files.documents import decode_json, to_json
from perception_nodes.types import PerceptionError

PR_SET_PDEATHSIG = 1
REFUSED = 2


@dataclass(frozen=True)
class BuildReport:
    """One line: ``phase`` and ``fraction`` on the way; ``path`` and ``reason`` or ``error`` last.

    ``reason``: why it had to be built, '' if a valid engine was there.
    """

    phase: str = ''
    fraction: float = 0.0
    path: str = ''
    reason: str = ''
    error: str = ''


class _Cancel:
    """Remembers that the process was asked to end."""

    def __init__(self) -> None:
        self.wanted = False
        for number in signals.TOLD:
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True


def main() -> int:
    """Build what the command line asks for; 0 done, 2 refused or cancelled."""
    signals.exit_at_once('build')
    os.nice(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    from perception_nodes.inference.tensorrt.engine_builder import EngineRequest, ensure_engine

    cancel = _Cancel()

    def progress(phase: str, fraction: float) -> bool:
        _tell(BuildReport(phase, round(fraction, 4)))
        return not cancel.wanted

    try:
        path, reason = ensure_engine(decode_json(sys.argv[1], EngineRequest), progress)
    except (PerceptionError, OSError) as error:
        _tell(BuildReport(error=' '.join(str(error).split()) or repr(error)))
        return REFUSED
    _tell(BuildReport(path=str(path), reason=reason))
    return 0


def _tell(report: BuildReport) -> None:
    try:
        print(to_json(report), flush=True)
    except BrokenPipeError:  # nobody listens any more; the engine is finished all the same
        sys.stdout = open(os.devnull, 'w')  # noqa: SIM115, PTH123
