# SPDX-License-Identifier: Apache-2.0
"""Where the command ``perception`` begins: it can be ended from the first import on."""

import io
import sys

from perception_nodes import signals
from perception_nodes.libraries import missing_library

__all__ = ['main']


def main() -> None:
    """Run the command line; status as ``commands.run``, or 128 + signal."""
    signals.exit_at_once('perception')
    try:
        from perception_nodes.cli import commands
    except ImportError as error:  # click itself
        if not (missing := missing_library(error)):
            raise
        print(f'perception: {missing}', file=sys.stderr)
        sys.exit(2)

    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    signals.raise_interrupted()
    try:
        status = commands.run(sys.argv[1:])
    except KeyboardInterrupt:
        status = commands.interrupted()
    signals.exit_at_once('perception')
    sys.exit(status)


if __name__ == '__main__':
    main()
