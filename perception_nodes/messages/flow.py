# SPDX-License-Identifier: Apache-2.0
"""Flow as the topics of optical_flow_node, and back."""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.image import decode_map, encode_image, image_message
from perception_nodes.messages.primitives import header, stamp_ns
from perception_nodes.messages.topics import IMAGE, Topic
from perception_nodes.types import Flow, Image
from perception_nodes.visualization.colors import flow_color

TOPICS = (
    Topic('flow', IMAGE, '32FC2, pixels since the previous image, NaN invalid'),
    Topic('flow/stddev', IMAGE, '32FC1, one sigma, pixels'),
    Topic('flow/interval', 'sensor_msgs/msg/TimeReference', 'time_ref: the previous stamp'),
    Topic('flow/color', IMAGE, 'rgb8, Middlebury colours', on_demand=True),
)


def flow_messages(
    result: Flow, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics of a flow field; it needs nothing of the context.

    Returns
    -------
    topic name (as in ``topics.TOPICS``) to message.
    """
    stamp, frame_id = result.stamp_ns, result.frame_id
    messages = {}
    if 'flow' in wanted:
        messages['flow'] = encode_image(
            np.asarray(result.flow_px, np.float32), '32FC2', factory, stamp, frame_id
        )
    if 'flow/stddev' in wanted:
        messages['flow/stddev'] = encode_image(
            np.asarray(result.sigma_px, np.float32), '32FC1', factory, stamp, frame_id
        )
    if 'flow/interval' in wanted:
        messages['flow/interval'] = factory.make(
            'sensor_msgs/msg/TimeReference', header=header(factory, stamp, frame_id),
            time_ref=factory.time(result.previous_stamp_ns), source='previous image',
        )
    if 'flow/color' in wanted:
        coloured = Image(flow_color(result.flow_px), stamp, frame_id)
        messages['flow/color'] = image_message(coloured, factory)
    return messages


def flow_from_messages(messages: Mapping[str, Any]) -> Flow:
    """Return the result that topics of one stamp carry.

    Parameters
    ----------
    messages : 'flow' and, where they were recorded, 'flow/stddev' (NaN without) and
        'flow/interval' (the stamp itself without).

    Raises
    ------
    PerceptionError
        If a message is malformed.
    """
    image = messages['flow']
    flow_px = decode_map(image, 'flow', ('32FC2',))
    stamp = stamp_ns(image.header.stamp)
    sigma_px = np.full(flow_px.shape[:2], np.nan, np.float32)
    if 'flow/stddev' in messages:
        sigma_px = decode_map(messages['flow/stddev'], 'flow/stddev', ('32FC1',), flow_px.shape)
    interval = messages.get('flow/interval')
    previous = stamp if interval is None else stamp_ns(interval.time_ref)
    return Flow(stamp, image.header.frame_id, previous, flow_px, sigma_px)
