# SPDX-License-Identifier: Apache-2.0
"""Structured arrays as sensor_msgs/PointCloud2, and back."""

from typing import Any

import numpy as np

from perception_nodes.geometry.stereo import points_from_depth
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.primitives import header
from perception_nodes.types import Array, Depth, Image, PerceptionError

# Codes of sensor_msgs/PointField.
_DATATYPES = {'i1': 1, 'u1': 2, 'i2': 3, 'u2': 4, 'i4': 5, 'u4': 6, 'f4': 7, 'f8': 8}
_NAMES = {code: name for name, code in _DATATYPES.items()}

DEPTH_POINT = np.dtype([
    ('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<f4'), ('sigma', '<f4'),
])


def cloud_message(
    points: Array, factory: MessageFactory, stamp: int, frame_id: str, *, dense: bool
) -> Any:
    """Make a sensor_msgs/PointCloud2 of a structured little-endian array [N] or [H, W].

    Parameters
    ----------
    dense : no point holds NaN.
    """
    rows = points.reshape(1, -1) if points.ndim == 1 else points
    height, width = rows.shape
    step = points.dtype.itemsize
    if points.dtype.fields is None:
        raise ValueError(f'points are a structured array, not {points.dtype}')
    fields = [
        factory.make(
            'sensor_msgs/msg/PointField', name=name, offset=int(offset),
            datatype=_DATATYPES[kind.str[1:]], count=1,
        )
        for name in points.dtype.names or () for kind, offset in (points.dtype.fields[name][:2],)
    ]
    return factory.make(
        'sensor_msgs/msg/PointCloud2', header=header(factory, stamp, frame_id),
        height=int(height), width=int(width), fields=fields, is_bigendian=False, point_step=step,
        row_step=step * int(width), data=factory.bytes_field(rows), is_dense=dense,
    )


def decode_cloud(message: Any) -> Array:
    """Return a PointCloud2 as a structured array [H, W] with the message's field names.

    Raises
    ------
    PerceptionError
        If steps, fields and data disagree.
    """
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    row_step = int(message.row_step)
    data = np.frombuffer(message.data, np.uint8)
    if data.size != row_step * height or row_step < width * step:
        raise PerceptionError(
            f'point cloud data is {data.size} bytes but row_step {row_step} x height {height} '
            f'of {width} points of {step} bytes does not fit'
        )
    order = '>' if message.is_bigendian else '<'
    for field in message.fields:
        code = int(field.datatype)
        if code not in _NAMES or field.offset + np.dtype(_NAMES[code]).itemsize > step:
            raise PerceptionError(f'point cloud field {field.name!r} does not fit its point')
    kind = np.dtype({
        'names': [field.name for field in message.fields],
        'formats': [order + _NAMES[int(field.datatype)] for field in message.fields],
        'offsets': [int(field.offset) for field in message.fields],
        'itemsize': step,
    })
    rows = np.ascontiguousarray(data.reshape(height, row_step)[:, :width * step])
    return rows.view(kind).reshape(height, width)


def depth_points_message(result: Depth, image: Image | None, factory: MessageFactory) -> Any:
    """Make the cloud of a depth image: x y z (m, optical frame), rgb, sigma (m along the axis).

    It keeps the image's rows and columns; an invalid pixel is a point of NaN. ``rgb`` is packed
    as PCL packs it (0x00RRGGBB in the bits of a float32); black without an image.
    """
    depth = np.asarray(result.depth_m, np.float32)
    cloud = np.zeros(depth.shape, DEPTH_POINT)
    xyz = points_from_depth(depth, result.camera.rectified_k)
    for axis, name in enumerate('xyz'):
        cloud[name] = xyz[..., axis]
    cloud['sigma'] = result.sigma_m
    if image is not None:
        if image.data.shape[:2] != depth.shape:
            raise PerceptionError(
                f'points of {depth.shape[1]}x{depth.shape[0]} cannot take their colour from an '
                f'image of {image.width}x{image.height}'
            )
        cloud['rgb'] = _packed(image.data).view(np.float32)
    return cloud_message(cloud, factory, result.stamp_ns, result.frame_id, dense=False)


def _packed(pixels: Array) -> Array:
    """0x00RRGGBB, uint32 [H, W]."""
    wide = pixels.astype(np.uint32)
    if pixels.ndim == 2:
        return np.asarray(wide * 0x010101, np.uint32)
    return np.asarray((wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2], np.uint32)
