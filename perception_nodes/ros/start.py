# SPDX-License-Identifier: Apache-2.0
"""The nodes' commands: they import a node when they are called, so that Ctrl-C ends that too.

``start.perception_node`` and ``start.<task>_node`` of every task are functions that return the
exit status of the process.
"""

from collections.abc import Callable
from functools import partial

ALL_TASKS = 'perception_node'
SUFFIX = '_node'


def _start(node: str) -> int:
    try:
        from perception_nodes.ros.nodes import perception_node, task_node
    except KeyboardInterrupt:
        return 0
    if node == ALL_TASKS:
        return perception_node.main()
    return task_node.main(node.removesuffix(SUFFIX))


def __getattr__(name: str) -> Callable[[], int]:
    """Return the command of a node by its name."""
    if not name.endswith(SUFFIX):
        raise AttributeError(name)
    return partial(_start, name)
