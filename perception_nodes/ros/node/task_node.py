# SPDX-License-Identifier: Apache-2.0
"""The node of one task."""

from typing import ClassVar

from rclpy.context import Context
from rclpy.parameter import Parameter

from perception_nodes.messages.topics import node_name
from perception_nodes.ros.node.lifecycle_node import PerceptionLifecycleNode
from perception_nodes.ros.tasks.task_set import TaskSet


class TaskNode(PerceptionLifecycleNode):
    """Node named after its one task; parameters and topics have no prefix.

    Attributes
    ----------
    task : key of pipelines.perception.TASKS.
    """

    task: ClassVar[str]

    def __init__(
        self, *, context: Context | None = None, cli_args: list[str] | None = None,
        namespace: str | None = None, parameter_overrides: list[Parameter] | None = None,
    ) -> None:
        super().__init__(
            node_name(self.task), lambda node: TaskSet((self.task,), alone=True), context=context,
            cli_args=cli_args, namespace=namespace, parameter_overrides=parameter_overrides,
        )
