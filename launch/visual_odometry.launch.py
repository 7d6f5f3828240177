# SPDX-License-Identifier: Apache-2.0
"""Launch visual_odometry_node (``ros2 launch -s`` lists the arguments)."""

from launch import LaunchDescription

from perception_nodes.ros.tools.launching import task_launch_description


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return task_launch_description('visual_odometry')
