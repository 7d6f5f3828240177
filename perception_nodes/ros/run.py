# SPDX-License-Identifier: Apache-2.0
"""A node as a process: from its command line to its exit status."""

import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from perception_nodes.ros.node import PerceptionLifecycleNode
from perception_nodes.types import PerceptionError


def run(make: Callable[[], PerceptionLifecycleNode], args: list[str] | None = None) -> int:
    """Spin a node until it is told to end; SIGINT and SIGTERM are a clean end.

    Parameters
    ----------
    make : builds the node once ROS is up.
    args : command line with ``--ros-args``; None = the process's own.

    Returns
    -------
    exit status: 0, that of building engines with build_only, 2 if a parameter is wrong.
    """
    rclpy.init(args=args)
    node = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except PerceptionError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except Exception:
        if rclpy.ok():
            raise
        # A signal ended ROS just when the executor was about to wait: a clean end too.
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return node.exit_status
