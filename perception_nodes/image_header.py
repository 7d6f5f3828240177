# SPDX-License-Identifier: Apache-2.0
"""What a JPEG or PNG file says of its size, before a decoder takes memory for it."""

from perception_nodes.errors import PerceptionError

__all__ = ['MOST_PIXELS', 'declared_size']

MOST_PIXELS = 100_000_000
JPEG, PNG = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'
# Start of frame: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def declared_size(content: bytes, most_pixels: int = MOST_PIXELS) -> tuple[int, int]:
    """Width and height that an image file declares.

    Raises
    ------
    PerceptionError
        If it is neither JPEG nor PNG, declares no size, or more pixels than that.
    """
    if content.startswith(PNG):
        size = _png(content)
    elif content.startswith(JPEG):
        size = _jpeg(content)
    else:
        raise PerceptionError('it is neither JPEG nor PNG')
    if size is None or 0 in size:
        raise PerceptionError('it declares no size: cut short or damaged')
    if size[0] * size[1] > most_pixels:
        raise PerceptionError(
            f'it declares {size[0]}x{size[1]} pixels, more than {most_pixels} in all'
        )
    return size


def _png(content: bytes) -> tuple[int, int] | None:
    if content[12:16] != b'IHDR' or len(content) < 24:
        return None
    return int.from_bytes(content[16:20], 'big'), int.from_bytes(content[20:24], 'big')


def _jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            frame = content[at + 5:at + 9]
            if len(frame) < 4:
                return None
            return int.from_bytes(frame[2:], 'big'), int.from_bytes(frame[:2], 'big')
        else:
            at += 2 + int.from_bytes(content[at + 2:at + 4], 'big')
    return None
