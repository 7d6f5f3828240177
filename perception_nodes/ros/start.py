# SPDX-License-Identifier: Apache-2.0
"""The nodes' commands: they import a node when they are called, so that Ctrl-C ends that too, and
a library that is not installed is one line and status 2.

``start.perception_node`` and ``start.<task>_node`` of every task are functions that return the
exit status of the process.
"""

import sys
from collections.abc import Callable
from functools import partial

from perception_nodes.libraries import missing_library

ALL_TASKS = 'perception_node'
SUFFIX = '_node'
MISTAKE = 2


def _start(node: str) -> int:
    try:
        from perception_nodes.ros.nodes import perception_node, task_node

        if node == ALL_TASKS:
            return perception_node.main()
        return task_node.main(node.removesuffix(SUFFIX))
    except KeyboardInterrupt:
        return 0
    except ImportError as error:
        if not (missing := missing_library(error)):
            raise
        print(f'error: {missing}', file=sys.stderr)
        return MISTAKE


def __getattr__(name: str) -> Callable[[], int]:
    """Return the command of a node by its name."""
    if not name.endswith(SUFFIX):
        raise AttributeError(name)
    return partial(_start, name)
