# SPDX-License-Identifier: Apache-2.0
"""Stereo visual odometry as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class VisualOdometryNode(TaskNode):
    """Pose of base_link in odom and its velocity, from a rectified pair.

    Takes ``left/image_rect`` and ``right/image_rect`` (``left/image``, ``right/image`` with
    rectify) with ``left/camera_info`` and ``right/camera_info``. ``depth/image_rect``,
    ``depth/stddev``, ``depth/camera_info`` and ``mask`` improve it, if somebody publishes them.
    ``~/set_pose`` (PoseWithCovarianceStamped) says where the vehicle is.

    Publishes ``~/odometry`` (nav_msgs/Odometry, covariances filled), ``~/status``
    (DiagnosticStatus: tracking or lost, and why), ``~/path`` (nav_msgs/Path), latched
    ``~/model_info``, and with publish_tf the transform odom -> base_link.
    Services: ``~/reset`` (std_srvs/Trigger).

    Parameters: those of ``pipelines.visual_odometry.VisualOdometryConfig`` and of
    ``ros.config.NodeConfig`` (backend, precision, transport, rectify, autostart, ...), and
    ``model``, and of ``ros.tasks.odometry.OdometryNodeConfig`` (publish_tf,
    path_length) and ``ros.tasks.mount.MountConfig``.
    """

    task = 'visual_odometry'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(VisualOdometryNode, args)
