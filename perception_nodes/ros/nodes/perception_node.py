# SPDX-License-Identifier: Apache-2.0
"""All tasks in one process: each image is received and decoded once, each result passed on."""

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from perception_nodes.ros import parameters
from perception_nodes.ros.node.lifecycle_node import PerceptionLifecycleNode
from perception_nodes.ros.node.run import run
from perception_nodes.ros.tasks.task_set import TasksConfig, TaskSet


def _chosen(node: Node) -> TaskSet:
    parameters.declare(node, TasksConfig())
    return TaskSet(parameters.read(node, TasksConfig).tasks, alone=False)


class PerceptionNode(PerceptionLifecycleNode):
    """Any of the six tasks on the same images.

    Takes a pair (``left/image_rect left/camera_info right/image_rect right/camera_info``) if one
    of the tasks needs two cameras, else ``image`` and ``camera_info``; the tasks of one camera
    take the left image.

    Publishes what the tasks' own nodes publish, under those nodes' names in this node's
    namespace: ``segmentation_node/mask``, ``visual_odometry_node/odometry``; services likewise
    (``visual_odometry_node/reset``). So whoever listens need not know which way it runs.

    Parameters: ``tasks`` (at start), those of ``ros.config.NodeConfig``, and every task's own
    with its name in front: ``segmentation.mc_samples``, ``stereo_depth.model``,
    ``visual_odometry.publish_tf``.
    """

    def __init__(
        self, *, context: Context | None = None, cli_args: list[str] | None = None,
        namespace: str | None = None, parameter_overrides: list[Parameter] | None = None,
    ) -> None:
        super().__init__(
            'perception_node', _chosen, context=context, cli_args=cli_args, namespace=namespace,
            parameter_overrides=parameter_overrides,
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until it is asked to end."""
    return run(PerceptionNode, args)
