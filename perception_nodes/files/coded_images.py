# SPDX-License-Identifier: Apache-2.0
"""The bytes of a sensor_msgs/CompressedImage: JPEG and PNG, whole or refused.

libjpeg fills with grey what is missing and only warns, so half an image looks like an image.
Here every warning is an error, except for the padding before the end that many webcams write.
The declared size is checked before memory is taken: against the limit, and against what so many
bytes can hold at all.
"""

import re
import struct
from zlib import crc32

import cv2
import numpy as np
import simplejpeg

from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.types import Array, PerceptionError

__all__ = ['coded_size', 'decode_coded']

_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
# A frame header: baseline, extended, progressive, lossless, and those of arithmetic coding. C4, C8
# and CC are tables.
_FRAME_HEADERS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_START_OF_SCAN = 0xDA
# A block of 8x8 takes a bit at least; deflate packs 1032 to 1 at most.
_JPEG_PIXELS_A_BYTE, _DEFLATE = 64 * 8, 1032
# A progressive JPEG goes over all of its pixels with each scan; real ones have about ten.
_MOST_SCANS = 100
# Warning of libjpeg about bytes between the last block and the end of the image.
_PADDING = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
_MOST_PADDING = 4


def coded_size(data: bytes) -> tuple[int, int]:
    """Return width and height as the header of a JPEG or PNG declares them.

    Raises
    ------
    PerceptionError
        If the data is neither, or has no whole header.
    """
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    if data.startswith(_PNG):
        if len(data) < 33 or data[12:16] != b'IHDR':
            raise PerceptionError('not a whole png: its header is missing')
        width, height = struct.unpack_from('>II', data, 16)
        return int(width), int(height)
    raise PerceptionError('neither a jpeg nor a png')


def decode_coded(data: bytes, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> tuple[Array, bool]:
    """Decode a whole JPEG or PNG.

    Returns
    -------
    pixels : uint8 or (png) uint16, [H, W], [H, W, 3] or [H, W, 4].
    is_rgb : whether a colour image's channels are in the order RGB; else as they were stored by
        a writer that stored BGR, i.e. BGR.

    Raises
    ------
    PerceptionError
        If it is neither, is cut off or damaged, or is larger than the limits.
    """
    width, height = coded_size(data)
    limits.check(width, height)
    if data.startswith(_JPEG):
        if width * height > len(data) * _JPEG_PIXELS_A_BYTE:
            raise _not_whole('jpeg', f'{len(data)} bytes cannot hold {width}x{height}')
        if data.count(b'\xff\xda') > _MOST_SCANS:
            raise PerceptionError(f'a jpeg of more than {_MOST_SCANS} scans is no camera image')
        return _decode_jpeg(data), True
    _check_png(data, width, height)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (height, width):
        raise _not_whole('png', 'its pixels cannot be unpacked')
    return np.asarray(pixels), False


def _decode_jpeg(data: bytes) -> Array:
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ('Gray', 'YCbCr', 'RGB'):
            raise PerceptionError(f'a jpeg in {colours} is no camera image')
        wanted = 'Gray' if colours == 'Gray' else 'RGB'
        try:
            pixels = simplejpeg.decode_jpeg(data, wanted)
        except ValueError as error:
            if not _is_padding(data, str(error)):
                raise
            pixels = simplejpeg.decode_jpeg(data, wanted, strict=False)
    except ValueError as error:
        raise _not_whole('jpeg', str(error)) from None
    return np.asarray(pixels[..., 0] if wanted == 'Gray' else pixels)


def _is_padding(data: bytes, warning: str) -> bool:
    """Whether a warning is of the padding that webcams write: few bytes, or all the same."""
    found = _PADDING.search(warning)
    if found is None:
        return False
    number, end = int(found.group(1)), data.rfind(b'\xff\xd9')
    padding = data[max(end - number, 0):end]
    return number <= _MOST_PADDING or len(set(padding)) <= 1


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk over a JPEG's segments to its frame header (ITU-T T.81, B.2.2)."""
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from('>HH', data, place + 5)
            return int(width), int(height)
        if marker == _START_OF_SCAN:
            break
        # A marker may be preceded by any number of fill bytes.
        length = int(struct.unpack_from('>H', data, place + 2)[0])
        place += 1 if marker == 0xFF else 2 + length
    raise PerceptionError('not a whole jpeg: its header is missing')


def _check_png(data: bytes, width: int, height: int) -> None:
    """Check a PNG's chunks by their checksums, up to its end (ISO/IEC 15948)."""
    depth, colours = data[24], {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25])
    if colours is None or depth not in (1, 2, 4, 8, 16):
        raise _not_whole('png', 'its header is damaged')
    if height * (1 + width * colours * depth // 8) > len(data) * _DEFLATE:
        raise _not_whole('png', f'{len(data)} bytes cannot hold {width}x{height}')
    place = len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from('>I', data, place)
        end = place + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from('>I', data, end - 4)
        if crc32(memoryview(data)[place + 4:end - 4]) != checksum:
            raise _not_whole('png', 'a checksum differs')
        if data[place + 4:place + 8] == b'IEND':
            return
        place = end
    raise _not_whole('png', 'its end is missing')


def _not_whole(kind: str, reason: str) -> PerceptionError:
    return PerceptionError(f'not a whole {kind}: {reason[:120]}')
