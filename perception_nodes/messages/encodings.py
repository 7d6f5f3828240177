# SPDX-License-Identifier: Apache-2.0
"""The encodings of sensor_msgs/Image that are read: how a pixel lies in memory."""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.types import PerceptionError


@dataclass(frozen=True)
class Encoding:
    """How one encoding stores a pixel, and how it becomes RGB or mono.

    Attributes
    ----------
    dtype, channels : of a stored pixel.
    to_rgb : OpenCV's conversion code into RGB; None = stored as it is wanted.
    even : the width (and for Bayer the height) must be even.
    """

    dtype: str
    channels: int
    to_rgb: int | None = None
    even: tuple[bool, bool] = (False, False)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return np.dtype(self.dtype).itemsize * self.channels


# OpenCV names a Bayer pattern by the second pixel of the second row, ROS by the first of the
# first: what ROS calls RGGB is OpenCV's BG.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_UYVY = Encoding('u1', 2, cv2.COLOR_YUV2RGB_UYVY, (True, False))
_YUY2 = Encoding('u1', 2, cv2.COLOR_YUV2RGB_YUY2, (True, False))

ENCODINGS: dict[str, Encoding] = {
    'mono8': Encoding('u1', 1),
    '8UC1': Encoding('u1', 1),
    'rgb8': Encoding('u1', 3),
    'bgr8': Encoding('u1', 3, cv2.COLOR_BGR2RGB),
    '8UC3': Encoding('u1', 3, cv2.COLOR_BGR2RGB),
    'rgba8': Encoding('u1', 4, cv2.COLOR_RGBA2RGB),
    'bgra8': Encoding('u1', 4, cv2.COLOR_BGRA2RGB),
    '8UC4': Encoding('u1', 4, cv2.COLOR_BGRA2RGB),
    '8UC2': Encoding('u1', 2),
    'mono16': Encoding('u2', 1),
    '16UC1': Encoding('u2', 1),
    'rgb16': Encoding('u2', 3),
    'bgr16': Encoding('u2', 3, cv2.COLOR_BGR2RGB),
    'rgba16': Encoding('u2', 4, cv2.COLOR_RGBA2RGB),
    'bgra16': Encoding('u2', 4, cv2.COLOR_BGRA2RGB),
    '16SC1': Encoding('i2', 1),
    '32FC1': Encoding('f4', 1),
    '32FC2': Encoding('f4', 2),
    '32FC3': Encoding('f4', 3),
    **{f'bayer_{name}8': Encoding('u1', 1, code, (True, True)) for name, code in _BAYER.items()},
    **{f'bayer_{name}16': Encoding('u2', 1, code, (True, True)) for name, code in _BAYER.items()},
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUY2,
    'yuyv': _YUY2,
}


def find_encoding(name: str) -> Encoding:
    """Look an encoding up.

    Raises
    ------
    PerceptionError
        If it is not one of those that are read.
    """
    if name not in ENCODINGS:
        raise PerceptionError(
            f'image encoding {name[:40]!r} is not known; convert it to one of '
            'mono8 rgb8 bgr8 rgba8 bgra8 mono16 rgb16 32FC1 bayer_* yuv422 yuv422_yuy2 nv12 nv21'
        )
    return ENCODINGS[name]
