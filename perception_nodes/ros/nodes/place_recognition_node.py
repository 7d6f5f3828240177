# SPDX-License-Identifier: Apache-2.0
"""Place recognition as a node."""

from perception_nodes.ros.node.run import run
from perception_nodes.ros.node.task_node import TaskNode


class PlaceRecognitionNode(TaskNode):
    """Recognises places that it has seen before, and says where in the map that is.

    Takes ``image`` (sensor_msgs/Image, or CompressedImage on ``image/compressed`` with transport
    compressed) and ``camera_info``. ``odometry`` (nav_msgs/Odometry, interpolated to the image's
    stamp), ``depth/image_rect``, ``depth/stddev`` and ``depth/camera_info`` are taken if somebody
    publishes them.

    Publishes ``~/matches`` (PointCloud2 in map: x y z id stamp similarity probability inliers),
    ``~/pose`` (PoseWithCovarianceStamped), ``~/loop_closure`` (nav_msgs/Odometry from place_<id>
    to base_link), and latched ``~/model_info``.
    Services (std_srvs/Trigger): ``~/save_map``, ``~/load_map``, ``~/clear_map``; the file is the
    parameter map_path, which may be changed at any time, but not out of map_folder.

    Parameters: those of ``pipelines.place_recognition.PlaceRecognitionConfig`` and of
    ``ros.config.NodeConfig`` (backend, precision, transport, rectify, autostart, ...), and
    ``model``, and of ``ros.tasks.place_map.MapConfig`` (map_path, map_folder, load_map, map_frame)
    and ``ros.tasks.mount.MountConfig``.
    """

    task = 'place_recognition'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    return run(PlaceRecognitionNode, args)
