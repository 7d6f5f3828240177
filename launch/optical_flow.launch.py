# SPDX-License-Identifier: Apache-2.0
"""Launch optical_flow_node (``ros2 launch -s`` lists the arguments)."""

from launch import LaunchDescription

from perception_nodes.ros.tools.launching import task_launch_description


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return task_launch_description('optical_flow')
