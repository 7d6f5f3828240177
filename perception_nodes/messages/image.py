# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image and CompressedImage to arrays and back.

What comes in is not trusted: sizes, step and data must agree before a byte is looked at.
"""

from typing import Any

import cv2
import numpy as np

from perception_nodes.files.coded_images import coded_size, decode_coded
from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.messages.encodings import ENCODINGS, find_encoding
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.primitives import header, stamp_ns
from perception_nodes.messages.semi_planar import SEMI_PLANAR, semi_planar_rgb
from perception_nodes.types import Array, Image, PerceptionError


def decode_array(message: Any, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> Array:
    """Return the pixels of a sensor_msgs/Image as they are stored, without colour conversion.

    Semi-planar YUV (nv12) has no such array; ``decode_image`` reads it.

    Returns
    -------
    [H, W] or [H, W, C] of the encoding's dtype in this machine's byte order; a view of the
    message's memory where that is possible.

    Raises
    ------
    PerceptionError
        If the encoding is unknown, the image is empty, or step, height and data disagree.
    """
    encoding = find_encoding(message.encoding)
    height, width, step = int(message.height), int(message.width), int(message.step)
    limits.check(width, height)
    row_bytes = width * encoding.pixel_bytes
    if step < row_bytes:
        raise PerceptionError(
            f'image step {step} is too small: {width} px of {message.encoding} need {row_bytes}'
        )
    data = np.frombuffer(message.data, np.uint8)
    if data.size != step * height:
        raise PerceptionError(
            f'image data is {data.size} bytes but step {step} x height {height} = {step * height}'
        )
    if any(odd and size % 2 for odd, size in zip(encoding.even, (width, height), strict=True)):
        raise PerceptionError(f'{message.encoding} image has odd size {width}x{height}')
    rows = data.reshape(height, step)[:, :row_bytes]
    dtype = np.dtype(encoding.dtype)
    if dtype.itemsize > 1:
        stored = dtype.newbyteorder('>' if message.is_bigendian else '<')
        rows = np.ascontiguousarray(rows).view(stored).astype(dtype, copy=False)
    shape = (height, width) if encoding.channels == 1 else (height, width, encoding.channels)
    return rows.reshape(shape)


def decode_map(
    message: Any, name: str, encodings: tuple[str, ...], shape: tuple[int, ...] | None = None
) -> Array:
    """Return the pixels of an image that holds a result and not a view of the world.

    Parameters
    ----------
    name : of its topic, for the error. encodings : that it may have.
    shape : (height, width) that it must have; None: any.

    Raises
    ------
    PerceptionError
        If it is malformed, of another encoding, or of another size.
    """
    if message.encoding not in encodings:
        raise PerceptionError(
            f'{name} is {" or ".join(encodings)}, not {str(message.encoding)[:40]!r}'
        )
    pixels = decode_array(message)
    if shape is not None and pixels.shape[:2] != tuple(shape[:2]):
        raise PerceptionError(
            f'{name} is {pixels.shape[1]}x{pixels.shape[0]} but what it describes is '
            f'{shape[1]}x{shape[0]}'
        )
    return pixels


def decode_image(message: Any, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> Image:
    """Return a sensor_msgs/Image or CompressedImage as an image.

    Returns
    -------
    Image, uint8: colour as RGB [H, W, 3], one channel as mono [H, W]. 16 bits keep their upper 8
    (rounded); 32FC1 is grey from 0 to 1, NaN black. A Bayer mosaic becomes colour, compressed or
    not.

    Raises
    ------
    PerceptionError
        If the message is malformed or larger than the limits; the reason is in the text.
    """
    stamp, frame_id = stamp_ns(message.header.stamp), str(message.header.frame_id)
    if hasattr(message, 'format'):
        return Image(_decompress(message, limits), stamp, frame_id)
    if message.encoding in SEMI_PLANAR:
        width, height = int(message.width), int(message.height)
        limits.check(width, height)
        data = np.frombuffer(message.data, np.uint8)
        pixels = semi_planar_rgb(data, message.encoding, width, height, int(message.step))
    else:
        pixels = _to_rgb(
            _eight_bits(decode_array(message, limits), message.encoding), message.encoding
        )
    return Image(pixels, stamp, frame_id)


def is_known(message: Any) -> bool:
    """Return whether an Image or CompressedImage is of a kind that is read here at all."""
    return (
        hasattr(message, 'format') or message.encoding in ENCODINGS
        or message.encoding in SEMI_PLANAR
    )


def image_size(message: Any) -> tuple[int, int] | None:
    """Return width and height of an Image or CompressedImage, undecoded; None if unknown."""
    if not hasattr(message, 'format'):
        return int(message.width), int(message.height)
    try:
        return coded_size(bytes(message.data))
    except PerceptionError:
        return None


def encode_image(
    pixels: Array, encoding: str, factory: MessageFactory, stamp: int, frame_id: str
) -> Any:
    """Make a sensor_msgs/Image of an array that already has the encoding's dtype and channels.

    Parameters
    ----------
    pixels : [H, W] or [H, W, C].
    encoding : a name of ``encodings.ENCODINGS``; no conversion is made.
    """
    known = find_encoding(encoding)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.dtype(known.dtype) or channels != known.channels:
        raise PerceptionError(
            f'{encoding} does not hold {pixels.dtype} with {channels} channels'
        )
    height, width = pixels.shape[:2]
    return factory.make(
        'sensor_msgs/msg/Image', header=header(factory, stamp, frame_id), height=int(height),
        width=int(width), encoding=encoding, is_bigendian=0,
        step=int(width) * known.pixel_bytes,
        data=factory.bytes_field(_little_endian(pixels)),
    )


def image_message(image: Image, factory: MessageFactory) -> Any:
    """Make a sensor_msgs/Image (rgb8 or mono8) of an image."""
    encoding = 'mono8' if image.data.ndim == 2 else 'rgb8'
    return encode_image(image.data, encoding, factory, image.stamp_ns, image.frame_id)


def compressed_message(
    image: Image, factory: MessageFactory, compression: str = 'jpeg', quality: int = 95
) -> Any:
    """Make a sensor_msgs/CompressedImage as image_transport writes it; jpeg or png."""
    if compression not in ('jpeg', 'png'):
        raise PerceptionError(f'images are compressed as jpeg or png, not {compression!r}')
    mono = image.data.ndim == 2
    pixels = image.data if mono else cv2.cvtColor(image.data, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if compression == 'jpeg' else []
    done, coded = cv2.imencode(f'.{compression}', pixels, options)
    if not done:
        raise PerceptionError(f'the image could not be compressed as {compression}')
    layout = f'mono8; {compression} compressed mono8' if mono else (
        f'rgb8; {compression} compressed bgr8'
    )
    return factory.make(
        'sensor_msgs/msg/CompressedImage', format=layout,
        header=header(factory, image.stamp_ns, image.frame_id),
        data=factory.bytes_field(coded.reshape(-1)),
    )


def _little_endian(pixels: Array) -> Array:
    stored = pixels.dtype.newbyteorder('<')
    return np.ascontiguousarray(pixels, dtype=stored)


def _eight_bits(pixels: Array, encoding: str) -> Array:
    """Bring any stored pixel to uint8."""
    if encoding == '8UC2':
        raise PerceptionError('8UC2 does not define its two channels')
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        # 65535 becomes 255: 257 is the ratio of the two ranges.
        return np.asarray((pixels.astype(np.uint32) + 128) // 257, np.uint8)
    if encoding != '32FC1':  # 16SC1 and the like
        raise PerceptionError(f'{encoding} holds measurements, not an image')
    grey = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=np.inf, neginf=-np.inf)
    if grey.min() < 0.0 or grey.max() > 1.0:
        raise PerceptionError(
            f'32FC1 image holds values {grey.min():g}..{grey.max():g}; an image has 0..1 '
            '(is this a depth image?)'
        )
    return np.asarray(np.rint(grey * 255.0), np.uint8)


def _to_rgb(pixels: Array, encoding: str) -> Array:
    code = find_encoding(encoding).to_rgb
    return pixels if code is None else np.asarray(
        cv2.cvtColor(np.ascontiguousarray(pixels), code)
    )


def _decompress(message: Any, limits: ImageLimits) -> Array:
    """Pixels of a CompressedImage: mono [H, W] or RGB [H, W, 3], uint8."""
    layout = str(message.format)
    if 'compressedDepth' in layout:
        raise PerceptionError(f'{layout[:40]!r} is a depth image, not an image')
    data = bytes(message.data)
    if not data:
        raise PerceptionError('empty compressed image: no data')
    try:
        pixels, is_rgb = decode_coded(data, limits)
    except PerceptionError as error:
        raise PerceptionError(
            f'compressed image ({layout[:40] or "no format"}, {len(data)} bytes): {error}'
        ) from None
    pixels = _eight_bits(pixels, 'mono16')
    # 'bayer_rggb8; jpeg compressed ': image_transport stores the mosaic itself, as grey.
    encoding = layout.partition(';')[0].strip()
    if pixels.ndim == 2:
        if not encoding.startswith('bayer_') or encoding not in ENCODINGS:
            return pixels
        if any(size % 2 for size in pixels.shape):
            raise PerceptionError(f'{encoding} image has odd size {pixels.shape[::-1]}')
        return _to_rgb(pixels, encoding)
    # image_transport stores BGR and declares it; 'compressed rgb8' has the channels the other way.
    colours = pixels[..., :3]
    return np.ascontiguousarray(
        colours[..., ::-1] if is_rgb == ('compressed rgb' in layout) else colours
    )
