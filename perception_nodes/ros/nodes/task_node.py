# SPDX-License-Identifier: Apache-2.0
"""The node of one task."""

from functools import partial

from rclpy.context import Context
from rclpy.parameter import Parameter

from perception_nodes.errors import ConfigError
from perception_nodes.pipelines.tasks import find_task
from perception_nodes.ros.node.lifecycle_node import PerceptionLifecycleNode
from perception_nodes.ros.node.run import run
from perception_nodes.ros.tasks.task_set import TaskSet


class TaskNode(PerceptionLifecycleNode):
    """Any task as a node of its own: ``<task>_node``; parameters and topics have no prefix.

    It takes ``image`` (and ``camera_info`` where the task needs it or with rectify), or of a
    stereo task ``left/image_rect left/camera_info right/image_rect right/camera_info``
    (``left/image``, ``right/image`` with rectify), and the results of other tasks that help it, if
    somebody publishes them. ``docs/tasks.md`` lists the topics of every task.

    Parameters: ``model``, those of the task's config, of what it adds to its node
    (``ros.tasks.interfaces``), of ``ros.tasks.mount.MountConfig`` where it needs to know where the
    camera sits, and of ``ros.config.NodeConfig``.

    Raises
    ------
    ConfigError
        If there is no such task, or it takes no image: it then runs in ``perception_node``.
    """

    def __init__(
        self, task: str, *, context: Context | None = None, cli_args: list[str] | None = None,
        namespace: str | None = None, parameter_overrides: list[Parameter] | None = None,
    ) -> None:
        record = find_task(task)
        if record.cameras == 0:
            raise ConfigError(f'{task} takes no image: run it in perception_node, with {task} and '
                              'what it takes in tasks')
        super().__init__(
            record.node, lambda node: TaskSet((task,), alone=True), context=context,
            cli_args=cli_args, namespace=namespace, parameter_overrides=parameter_overrides,
        )


def main(task: str, args: list[str] | None = None) -> int:
    """Run the node of a task until it is asked to end."""
    return run(partial(TaskNode, task), args)
