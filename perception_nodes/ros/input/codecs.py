# SPDX-License-Identifier: Apache-2.0
"""Image messages to images: by our own decoder, or by cv_bridge.

docs/ecosystem.md says where they differ.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from perception_nodes.files.image_limits import ImageLimits
from perception_nodes.messages.image import decode_image, is_known
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.ros.input.libraries import CV_BRIDGE, load_library
from perception_nodes.types import Image, PerceptionError

Decode = Callable[[Any, ImageLimits], Image]


def open_codec(codec: str) -> Decode:
    """Make the decoder that the parameter ``codec`` names.

    Raises
    ------
    PerceptionError
        If it needs cv_bridge and that is not installed.
    """
    return OwnCodec() if codec == 'own' else BridgeCodec(f'codec: {codec}')


class OwnCodec:
    """Our decoder; where cv_bridge is installed, that for encodings that ours does not know."""

    def __init__(self) -> None:
        self._bridge: BridgeCodec | None = None
        self._looked = False

    def __call__(self, message: Any, limits: ImageLimits) -> Image:
        """Decode; see decode_image."""
        if not is_known(message) and not self._looked:
            self._looked = True
            try:
                self._bridge = BridgeCodec('')
            except PerceptionError:
                self._bridge = None
        if not is_known(message) and self._bridge is not None:
            with suppress(PerceptionError):  # ours names the encodings that are read
                return self._bridge(message, limits)
        return decode_image(message, limits)


class BridgeCodec:
    """CvBridge, for sensor_msgs/Image.

    What its Python reads in silence though it is not so is refused: rows that are padded by less
    than a whole pixel (it shears them) and more data than the header says. A CompressedImage goes
    to our decoder: cv_bridge answers None to half a JPEG, and knows no limits.

    Parameters
    ----------
    wanted_by : the parameter and its value, for the error.
    """

    def __init__(self, wanted_by: str) -> None:
        library = load_library(CV_BRIDGE, wanted_by)
        self._bridge = library.CvBridge()
        try:  # its compiled half is loaded when it is first needed
            self._bridge.encoding_to_dtype_with_channels('rgb8')
        except Exception as error:
            raise PerceptionError(
                f'{wanted_by} needs cv_bridge, which does not load ({error!r}): choose own'
            ) from None

    def __call__(self, message: Any, limits: ImageLimits) -> Image:
        """Decode.

        Raises
        ------
        PerceptionError
            If cv_bridge cannot read the message, or would read it wrongly.
        """
        if hasattr(message, 'format'):
            return decode_image(message, limits)
        stamp, frame_id = stamp_ns(message.header.stamp), str(message.header.frame_id)
        width, height = int(message.width), int(message.height)
        limits.check(width, height)
        mono = message.encoding in ('mono8', 'mono16')
        try:
            self._check_rows(message)
            pixels = np.asarray(
                self._bridge.imgmsg_to_cv2(message, 'mono8' if mono else 'rgb8')
            )
        except PerceptionError:
            raise
        except Exception as error:
            order = 'big-endian ' if message.is_bigendian else ''
            raise PerceptionError(
                f'cv_bridge cannot read {order}{str(message.encoding)[:40]!r}: {error}'
            ) from None
        shape = (height, width) if mono else (height, width, 3)
        if pixels.dtype != np.uint8 or pixels.shape != shape:
            raise PerceptionError(
                f'cv_bridge made {pixels.dtype} {pixels.shape} of {width}x{height} '
                f'{str(message.encoding)[:40]!r}'
            )
        return Image(np.ascontiguousarray(pixels), stamp, frame_id)

    def _check_rows(self, message: Any) -> None:
        dtype, channels = self._bridge.encoding_to_dtype_with_channels(message.encoding)
        pixel_bytes = np.dtype(dtype).itemsize * int(channels)
        width, height, step = int(message.width), int(message.height), int(message.step)
        if step < width * pixel_bytes or len(message.data) != step * height:
            raise PerceptionError(
                f'image data is {len(message.data)} bytes with step {step} but {width}x{height} '
                f'{message.encoding} has {width * pixel_bytes} a row'
            )
        if step % pixel_bytes:
            raise PerceptionError(
                f'cv_bridge shears rows padded to {step} bytes ({pixel_bytes} a pixel): '
                'choose codec own'
            )
