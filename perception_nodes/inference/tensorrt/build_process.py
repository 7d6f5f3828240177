# SPDX-License-Identifier: Apache-2.0
"""The process that builds an engine for a node: ``python -m ...build_process REQUEST NICENESS``.

REQUEST is an EngineRequest as JSON, NICENESS 0..19. It ends with the process that started it,
 stops building at SIGTERM, and tells its progress as one JSON object a line:
``{"phase", "fraction"}``, at the end ``{"path", "reason"}`` or ``{"error"}``.
"""

import ctypes
import json
import os
import signal
import sys
from types import FrameType

from perception_nodes.inference.tensorrt.engine_builder import ensure_engine, request_from_json
from perception_nodes.types import PerceptionError

PR_SET_PDEATHSIG = 1


class _Cancel:
    """Remembers that SIGTERM or SIGINT came."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True


def main() -> int:
    """Build what the command line asks for; 0 done, 2 refused or cancelled."""
    os.nice(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    cancel = _Cancel()

    def progress(phase: str, fraction: float) -> bool:
        _tell({'phase': phase, 'fraction': round(fraction, 4)})
        return not cancel.wanted

    try:
        path, reason = ensure_engine(request_from_json(json.loads(sys.argv[1])), progress)
    except (PerceptionError, OSError) as error:
        _tell({'error': ' '.join(str(error).split())})
        return 2
    _tell({'path': str(path), 'reason': reason})
    return 0


def _tell(content: dict[str, object]) -> None:
    try:
        print(json.dumps(content), flush=True)
    except BrokenPipeError:  # nobody listens any more; the engine is worth finishing all the same
        sys.stdout = open(os.devnull, 'w')  # noqa: SIM115, PTH123


if __name__ == '__main__':
    sys.exit(main())
