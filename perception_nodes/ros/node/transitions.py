# SPDX-License-Identifier: Apache-2.0
"""An impossible lifecycle transition is refused; it does not end the process.

Up to Jazzy rclpy lets the C library's error out of the change_state service ("configure" sent
twice, an unknown number), and the executor out of its spin.
"""

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode

from perception_nodes.text import one_line


def guard_transitions(node: LifecycleNode) -> None:
    """Make the change_state service of a node answer ``success: false`` instead of raising."""
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = _guarded(service.callback, node)


def _guarded(change_state: Callable[[Any, Any], Any], node: LifecycleNode) -> Callable[..., Any]:
    def answer(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except Exception as error:  # RCLError has no public name
            if not node.context.ok():
                raise
            wanted = request.transition.label or request.transition.id
            node.get_logger().error(one_line(f'transition {wanted} is not possible: {error}'))
            response.success = False
            return response

    return answer
