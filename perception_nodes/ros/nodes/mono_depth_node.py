# SPDX-License-Identifier: Apache-2.0
"""Depth from one image as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class MonoDepthNode(TaskNode):
    """Depth along the optical axis with its one-sigma, from one image.

    Takes ``image`` (sensor_msgs/Image, or CompressedImage on ``image/compressed`` with transport
    compressed) and ``camera_info``.

    Publishes ``~/depth/image_rect`` and ``~/depth/stddev`` (32FC1, metres, NaN invalid),
    ``~/depth/camera_info``, ``~/points`` (PointCloud2: x y z rgb sigma, metres), and latched
    ``~/model_info``.

    Parameters: those of ``pipelines.mono_depth.MonoDepthConfig`` and of ``ros.config.NodeConfig``
    (backend, precision, transport, rectify, autostart, ...), and ``model``.
    """

    task = 'mono_depth'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(MonoDepthNode, args)
