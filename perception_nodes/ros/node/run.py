# SPDX-License-Identifier: Apache-2.0
"""A node as a process: from its command line to its exit status."""

import os
import re
import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from perception_nodes.ros.node.lifecycle_node import PerceptionLifecycleNode
from perception_nodes.types import PerceptionError

MISTAKE = 2
HUNG = 1


def run(make: Callable[[], PerceptionLifecycleNode], args: list[str] | None = None) -> int:
    """Spin a node until it is asked to end; SIGINT and SIGTERM are a clean end.

    Parameters
    ----------
    make : builds the node once ROS is up.
    args : command line with ``--ros-args``; None = the process's own.

    Returns
    -------
    exit status: 0, that of building engines with build_only, 2 if the command line or a parameter
    is wrong. A worker that hangs ends the process with status 1.
    """
    try:
        rclpy.init(args=args)
    except Exception as error:  # the C library has classes of its own for each kind of mistake
        return _refused(f'the command line is not understood: {error}')
    node = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (PerceptionError, NameValidationException) as error:
        return _refused(str(error))
    except Exception:
        if rclpy.ok():
            raise
        # A signal ended ROS just when the executor was about to wait: a clean end too.
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if node is None:  # ended before it was there
        return 0
    if node.hangs:
        # Python would wait for what the thread is in, or tear it down under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(HUNG)
    return node.exit_status


def _refused(reason: str) -> int:
    """Print in one line what is wrong; the places in the C library's source are of no use."""
    line = ' '.join(re.sub(r', at \S+:\d+', '', reason).split())
    print(f'error: {line}', file=sys.stderr)
    return MISTAKE
