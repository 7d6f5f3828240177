# SPDX-License-Identifier: Apache-2.0
"""One table from a task to what gives its results back from recorded topics."""

from collections.abc import Callable, Mapping
from typing import Any

from perception_nodes.messages.depth import depth_from_messages
from perception_nodes.messages.flow import flow_from_messages
from perception_nodes.messages.odometry import odometry_from_messages
from perception_nodes.messages.segmentation import segmentation_from_messages

__all__ = ['DECODERS', 'REQUIRED']

# Each is called with the messages of one stamp, by topic name.
DECODERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    'segmentation': segmentation_from_messages,
    'stereo_depth': depth_from_messages,
    'mono_depth': depth_from_messages,
    'optical_flow': flow_from_messages,
    'visual_odometry': odometry_from_messages,
}

# The topics without which there is no result.
REQUIRED: dict[str, tuple[str, ...]] = {
    'segmentation': ('mask',),
    'stereo_depth': ('depth/image_rect', 'depth/camera_info'),
    'mono_depth': ('depth/image_rect', 'depth/camera_info'),
    'optical_flow': ('flow',),
    'visual_odometry': ('odometry',),
}
