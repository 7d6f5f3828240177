# SPDX-License-Identifier: Apache-2.0
"""Segmentation as the topics of segmentation_node, and back."""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.image import decode_map, encode_image, image_message
from perception_nodes.messages.primitives import header, stamp_ns
from perception_nodes.messages.topics import IMAGE, Topic
from perception_nodes.types import Image, Segmentation
from perception_nodes.visualization.colors import overlay

TOPICS = (
    Topic('mask', IMAGE, 'mono8, class ids, 255 = unlabelled'),
    Topic('confidence', IMAGE, 'mono8, 0..255: probability of the label'),
    Topic('uncertainty', IMAGE, '32FC1, predictive entropy 0..1'),
    Topic('epistemic', IMAGE, '32FC1, mutual information 0..1; only with sampling'),
    Topic(
        'label_info', 'vision_msgs/msg/LabelInfo', 'names of the class ids', latched=True,
        optional=True,
    ),
    Topic('overlay', IMAGE, 'rgb8, the mask over the image', on_demand=True),
)


def segmentation_messages(
    result: Segmentation, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics of a segmentation; the overlay needs the context's image.

    Returns
    -------
    topic name (as in ``topics.TOPICS``) to message.
    """
    context = context or Context()
    stamp, frame_id = result.stamp_ns, result.frame_id
    messages = {}
    if 'mask' in wanted:
        messages['mask'] = encode_image(result.labels, 'mono8', factory, stamp, frame_id)
    if 'confidence' in wanted:
        share = np.asarray(np.rint(np.clip(result.confidence, 0.0, 1.0) * 255.0), np.uint8)
        messages['confidence'] = encode_image(share, 'mono8', factory, stamp, frame_id)
    if 'uncertainty' in wanted:
        messages['uncertainty'] = encode_image(
            np.asarray(result.entropy, np.float32), '32FC1', factory, stamp, frame_id
        )
    if 'epistemic' in wanted and result.mutual_information is not None:
        messages['epistemic'] = encode_image(
            np.asarray(result.mutual_information, np.float32), '32FC1', factory, stamp, frame_id
        )
    if 'overlay' in wanted and context.image is not None:
        coloured = overlay(context.image, result, context.palette)
        messages['overlay'] = image_message(Image(coloured, stamp, frame_id), factory)
    return messages


def label_info_messages(
    info: Mapping[str, Any], factory: MessageFactory, stamp: int
) -> dict[str, Any]:
    """Make the vision_msgs/LabelInfo of the class names; nothing where vision_msgs is missing.

    Parameters
    ----------
    info : what ``model_info`` holds; its 'classes' name the class ids.
    """
    if not factory.has('vision_msgs/msg/LabelInfo'):
        return {}
    return {'label_info': factory.make(
        'vision_msgs/msg/LabelInfo', header=header(factory, stamp, ''), threshold=0.0,
        class_map=[
            factory.make('vision_msgs/msg/VisionClass', class_id=index, class_name=name)
            for index, name in enumerate(info.get('classes', ()))
        ],
    )}


def segmentation_from_messages(messages: Mapping[str, Any]) -> Segmentation:
    """Return the result that topics of one stamp carry.

    Parameters
    ----------
    messages : 'mask' and, where they were recorded, 'confidence', 'uncertainty', 'epistemic';
        what is missing is NaN (None for the epistemic part).

    Raises
    ------
    PerceptionError
        If a message is malformed.
    """
    mask = messages['mask']
    labels = decode_map(mask, 'mask', ('mono8', '8UC1'))
    unknown = np.full(labels.shape, np.nan, np.float32)
    confidence = entropy = unknown
    if 'confidence' in messages:
        stored = decode_map(messages['confidence'], 'confidence', ('mono8',), labels.shape)
        confidence = stored.astype(np.float32) / np.float32(255.0)
    if 'uncertainty' in messages:
        entropy = decode_map(messages['uncertainty'], 'uncertainty', ('32FC1',), labels.shape)
    mutual = None
    if 'epistemic' in messages:
        mutual = decode_map(messages['epistemic'], 'epistemic', ('32FC1',), labels.shape)
    return Segmentation(
        stamp_ns(mask.header.stamp), mask.header.frame_id, labels, confidence, entropy, mutual
    )
