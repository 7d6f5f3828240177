# SPDX-License-Identifier: Apache-2.0
"""Launch all tasks, in one process or in several (``ros2 launch -s`` lists the arguments)."""

from launch import LaunchDescription

from perception_nodes.ros.tools.launching import perception_launch_description


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return perception_launch_description()
