# SPDX-License-Identifier: Apache-2.0
"""One table from a task to what makes its messages."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from perception_nodes.messages.context import Context
from perception_nodes.messages.depth import depth_messages
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.flow import flow_messages
from perception_nodes.messages.odometry import odometry_messages
from perception_nodes.messages.places import place_messages
from perception_nodes.messages.segmentation import label_info_message, segmentation_messages

__all__ = ['ENCODERS', 'Context', 'latched_messages', 'model_info_message']

# Each is called as encoder(result, factory, wanted topic names, context).
ENCODERS: dict[str, Callable[..., dict[str, Any]]] = {
    'segmentation': segmentation_messages,
    'stereo_depth': depth_messages,
    'mono_depth': depth_messages,
    'optical_flow': flow_messages,
    'visual_odometry': odometry_messages,
    'place_recognition': place_messages,
}


def model_info_message(info: Mapping[str, Any], factory: MessageFactory) -> Any:
    """Make the std_msgs/String of ``~/model_info``: JSON of the model card and engine key."""
    return factory.make('std_msgs/msg/String', data=json.dumps(info, sort_keys=True))


def latched_messages(
    task: str, info: Mapping[str, Any], factory: MessageFactory, stamp_ns: int, frame_id: str = ''
) -> dict[str, Any]:
    """Make what a node publishes once, when its model is loaded.

    Parameters
    ----------
    info : what ``model_info`` holds; its 'classes' name the class ids.
    """
    messages = {'model_info': model_info_message(info, factory)}
    if task == 'segmentation':
        labels = label_info_message(info.get('classes', ()), factory, stamp_ns, frame_id)
        if labels is not None:
            messages['label_info'] = labels
    return messages
