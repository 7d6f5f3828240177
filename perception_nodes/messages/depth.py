# SPDX-License-Identifier: Apache-2.0
"""Depth as the topics of stereo_depth_node and mono_depth_node, and back."""

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from perception_nodes.messages.camera import (
    camera_from_info,
    full_region,
    info_from_camera,
    rectified,
)
from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.image import decode_map, encode_image
from perception_nodes.messages.points import depth_points_message
from perception_nodes.messages.primitives import header, stamp_ns
from perception_nodes.messages.topics import CAMERA_INFO, IMAGE, POINT_CLOUD, Topic
from perception_nodes.types import Depth, FloatArray, PerceptionError

_DEPTH = (
    Topic('depth/image_rect', IMAGE, '32FC1, metres along the optical axis, NaN invalid'),
    Topic('depth/stddev', IMAGE, '32FC1, one sigma of the depth, metres, NaN invalid'),
    Topic('depth/camera_info', CAMERA_INFO, 'camera of exactly the depth image'),
)
_POINTS = Topic('points', POINT_CLOUD, 'x y z rgb sigma, metres', on_demand=True)
STEREO_TOPICS = (
    *_DEPTH,
    Topic('disparity', 'stereo_msgs/msg/DisparityImage', '32FC1, pixels, NaN invalid'),
    _POINTS,
)
MONO_TOPICS = (*_DEPTH, _POINTS)
# Without these there is no result.
REQUIRED = ('depth/image_rect', 'depth/camera_info')


def depth_messages(
    result: Depth, factory: MessageFactory, wanted: Container[str],
    context: Context | None = None,
) -> dict[str, Any]:
    """Make the wanted topics of a depth image; points take their colour from the context's image.

    Returns
    -------
    topic name (as in ``topics.TOPICS``) to message; no disparity from one camera.
    """
    image = context.image if context else None
    stamp, frame_id = result.stamp_ns, result.frame_id
    messages = {}
    if 'depth/image_rect' in wanted:
        messages['depth/image_rect'] = _float_image(result.depth_m, factory, stamp, frame_id)
    if 'depth/stddev' in wanted:
        messages['depth/stddev'] = _float_image(result.sigma_m, factory, stamp, frame_id)
    if 'depth/camera_info' in wanted:
        camera = replace(rectified(result.camera), frame_id=frame_id)
        messages['depth/camera_info'] = info_from_camera(camera, factory, stamp)
    if 'disparity' in wanted and result.disparity_px is not None:
        messages['disparity'] = disparity_message(result, factory)
    if 'points' in wanted:
        messages['points'] = depth_points_message(result, image, factory)
    return messages


def disparity_message(result: Depth, factory: MessageFactory) -> Any:
    """Make a stereo_msgs/DisparityImage.

    ``t`` is the baseline in metres and ``f`` the focal length in pixels, so depth = f t / d; the
    gap between the principal points is taken off already, as the message wants it.
    The matcher is not bound to steps: ``min_disparity..max_disparity`` is the range found in
    this image and ``delta_d`` the median one-sigma, below which no difference means anything.
    """
    disparity = np.asarray(result.disparity_px, np.float32)
    height, width = disparity.shape
    sigma = result.disparity_sigma_px
    return factory.make(
        'stereo_msgs/msg/DisparityImage',
        header=header(factory, result.stamp_ns, result.frame_id),
        image=_float_image(disparity, factory, result.stamp_ns, result.frame_id),
        f=float(result.camera.p[0, 0]), t=float(result.baseline_m),
        valid_window=full_region(factory, width, height),
        min_disparity=_number(np.fmin.reduce(disparity, axis=None)),
        max_disparity=_number(np.fmax.reduce(disparity, axis=None)),
        delta_d=0.0 if sigma is None else _median(np.asarray(sigma)[::4, ::4]),
    )


def depth_from_messages(messages: Mapping[str, Any]) -> Depth:
    """Return the result that topics of one stamp carry.

    Parameters
    ----------
    messages : 'depth/image_rect', 'depth/camera_info' and, where they were recorded,
        'depth/stddev' (NaN without) and 'disparity' (None without).

    Raises
    ------
    PerceptionError
        If a message is malformed.
    """
    image = messages['depth/image_rect']
    depth_m = _float_array(image, 'depth/image_rect')
    camera = camera_from_info(messages['depth/camera_info'])
    if (camera.height, camera.width) != depth_m.shape:
        raise PerceptionError(
            f'depth/image_rect is {depth_m.shape[1]}x{depth_m.shape[0]} but depth/camera_info '
            f'says {camera.width}x{camera.height}'
        )
    sigma_m = np.full(depth_m.shape, np.nan, np.float32)
    if 'depth/stddev' in messages:
        sigma_m = _float_array(messages['depth/stddev'], 'depth/stddev', depth_m.shape)
    disparity = messages.get('disparity')
    return Depth(
        stamp_ns(image.header.stamp), image.header.frame_id,
        camera, depth_m, sigma_m,
        disparity_px=(
            None if disparity is None
            else _float_array(disparity.image, 'disparity', depth_m.shape)
        ),
        baseline_m=0.0 if disparity is None else float(disparity.t),
    )


def _float_image(values: FloatArray, factory: MessageFactory, stamp: int, frame_id: str) -> Any:
    return encode_image(np.asarray(values, np.float32), '32FC1', factory, stamp, frame_id)


def _float_array(
    message: Any, name: str, shape: tuple[int, ...] | None = None
) -> FloatArray:
    """Metres or pixels of a 32FC1 image; REP 118 lets 16UC1 hold millimetres, 0 invalid."""
    values = decode_map(message, name, ('32FC1', '16UC1'), shape)
    if message.encoding == '16UC1':
        metres: FloatArray = values.astype(np.float32) / np.float32(1000.0)
        metres[values == 0] = np.nan
        return metres
    return np.asarray(values, np.float32)


def _number(value: Any) -> float:
    """0 for the NaN of an image without a valid pixel."""
    return float(value) if np.isfinite(value) else 0.0


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else 0.0
