# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class SegmentationNode(TaskNode):
    """Classes of the image's pixels and how sure the model is of them.

    Takes ``image`` (sensor_msgs/Image, or CompressedImage on ``image/compressed`` with transport
    compressed); ``camera_info`` only with rectify. With temporal it takes ``flow``,
    ``flow/stddev`` and ``flow/interval`` too, if somebody publishes them.

    Publishes ``~/mask`` (mono8, class ids, 255 = unlabelled), ``~/confidence`` (mono8, 0..255),
    ``~/uncertainty`` and ``~/epistemic`` (32FC1, 0..1), ``~/overlay`` (rgb8), and latched
    ``~/label_info`` (where vision_msgs is installed) and ``~/model_info`` (JSON).

    Parameters: those of ``pipelines.segmentation.SegmentationConfig`` and of
    ``ros.config.NodeConfig`` (backend, precision, transport, rectify, autostart, ...), and
    ``model``.
    """

    task = 'segmentation'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(SegmentationNode, args)
