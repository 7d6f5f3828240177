# SPDX-License-Identifier: Apache-2.0
"""How much memory and disk a recording may ask for, and unpacking that keeps to it.

A recording declares the unpacked size of its parts. 131 KB of zstd can declare, and hold,
4 GiB: what is declared is checked before memory is taken, and unpacking stops at the limit.
"""

import sys
from dataclasses import dataclass, fields

import lz4.frame

from perception_nodes.types import BagError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ['DEFAULT_LIMITS', 'BagLimits', 'unpacked', 'zstd']


@dataclass(frozen=True)
class BagLimits:
    """Largest sizes that are read, bytes; generous for any recording of cameras.

    Attributes
    ----------
    chunk_bytes : of one chunk of an MCAP file, unpacked (writers make 1 to 8 MB).
    message_bytes : of one message, unpacked (100 megapixels of rgb8 are 300 MB).
    overlapping_bytes : of all chunks that overlap in time and so are held together.
    file_bytes : of a file that is compressed as a whole, unpacked to the temporary folder.
    """

    chunk_bytes: int = 512 << 20
    message_bytes: int = 512 << 20
    overlapping_bytes: int = 1 << 30
    file_bytes: int = 256 << 30

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise BagError(f'{field.name} is a number of bytes above 0')


DEFAULT_LIMITS = BagLimits()


def unpacked(
    data: bytes | memoryview, compression: str, limit_bytes: int, what: str, *, too_much: str = '',
) -> bytes:
    """Unpack zstd or lz4, never to more than the limit.

    Parameters
    ----------
    compression : 'zstd', 'lz4', or '' for none.
    what : names the data in the error. too_much : says that the limit was passed, where it is
        not one of a user.

    Raises
    ------
    BagError
        If it is larger than the limit, or of another compression.
    ValueError
        If the data is damaged or cut off.
    """
    if compression == '':
        return bytes(data)
    if compression == 'zstd':
        content = _unzstd(data, limit_bytes)
    elif compression == 'lz4':
        content = _unlz4(data, limit_bytes)
    else:
        raise BagError(f'{what} is compressed as {compression!r}, not as zstd or lz4')
    if len(content) > limit_bytes:
        raise BagError(f'{what} unpacks to {too_much or too_large(limit_bytes)}')
    return content


def too_large(limit_bytes: int) -> str:
    """Say that a limit was passed."""
    return f'more than {limit_bytes / 1e6:,.0f} MB, which no camera needs'


def _unzstd(data: bytes | memoryview, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, rest = 0, bytes(data)
    while rest and size <= limit_bytes:
        frame = zstd.ZstdDecompressor()
        try:
            # One byte more than allowed distinguishes the two cases.
            part = frame.decompress(rest, max_length=limit_bytes + 1 - size)
        except zstd.ZstdError as error:
            raise ValueError(f'damaged zstd data: {error}') from None
        size += len(part)
        parts.append(part)
        if not frame.eof and size <= limit_bytes:
            raise ValueError('the zstd data is cut off')
        rest = frame.unused_data
    return b''.join(parts) if len(parts) != 1 else parts[0]


def _unlz4(data: bytes | memoryview, limit_bytes: int) -> bytes:
    frame = lz4.frame.LZ4FrameDecompressor()
    try:
        content = frame.decompress(bytes(data), max_length=limit_bytes + 1)
    except RuntimeError as error:
        raise ValueError(f'damaged lz4 data: {error}') from None
    if not frame.eof and len(content) <= limit_bytes:
        raise ValueError('the lz4 data is cut off')
    return bytes(content)
