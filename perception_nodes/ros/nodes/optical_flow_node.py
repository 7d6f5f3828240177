# SPDX-License-Identifier: Apache-2.0
"""Optical flow as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class OpticalFlowNode(TaskNode):
    """Displacement of each pixel since the previous image that it answered.

    Takes ``image`` (sensor_msgs/Image, or CompressedImage on ``image/compressed`` with transport
    compressed); ``camera_info`` only with rectify.

    Publishes ``~/flow`` (32FC2, pixels: at p what brought the scene point to p; NaN invalid),
    ``~/flow/stddev`` (32FC1, pixels), ``~/flow/interval`` (TimeReference: stamp of the previous
    image), ``~/flow/color`` (rgb8, Middlebury colours), and latched ``~/model_info``. A frame that
    was dropped lies inside the interval: flow is always between two images that were answered.

    Parameters: those of ``pipelines.optical_flow.OpticalFlowConfig`` and of
    ``ros.config.NodeConfig`` (backend, precision, transport, rectify, autostart, ...), and
    ``model``.
    """

    task = 'optical_flow'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(OpticalFlowNode, args)
