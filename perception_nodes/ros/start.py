# SPDX-License-Identifier: Apache-2.0
"""The nodes' commands: they import a node when they are called, so that Ctrl-C ends that too."""

from collections.abc import Callable
from importlib import import_module


def _command(node: str) -> Callable[[], int]:
    def start() -> int:
        try:
            main = import_module(f'perception_nodes.ros.nodes.{node}').main
        except KeyboardInterrupt:
            return 0
        return int(main())

    return start


segmentation_node = _command('segmentation_node')
stereo_depth_node = _command('stereo_depth_node')
mono_depth_node = _command('mono_depth_node')
optical_flow_node = _command('optical_flow_node')
visual_odometry_node = _command('visual_odometry_node')
place_recognition_node = _command('place_recognition_node')
perception_node = _command('perception_node')
