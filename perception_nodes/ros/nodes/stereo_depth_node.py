# SPDX-License-Identifier: Apache-2.0
"""Depth from a stereo pair as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class StereoDepthNode(TaskNode):
    """Depth along the optical axis with its one-sigma, from a rectified pair.

    Takes ``left/image_rect`` and ``right/image_rect`` (``left/image``, ``right/image`` with
    rectify) with ``left/camera_info`` and ``right/camera_info``.

    Publishes ``~/depth/image_rect`` and ``~/depth/stddev`` (32FC1, metres, NaN invalid),
    ``~/depth/camera_info``, ``~/disparity`` (stereo_msgs/DisparityImage, pixels), ``~/points``
    (PointCloud2: x y z rgb sigma, metres), and latched ``~/model_info``.

    Parameters: those of ``pipelines.stereo_depth.StereoDepthConfig`` and of
    ``ros.config.NodeConfig`` (backend, precision, transport, rectify, autostart, ...), and
    ``model``.
    """

    task = 'stereo_depth'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(StereoDepthNode, args)
