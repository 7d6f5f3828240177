# SPDX-License-Identifier: Apache-2.0
"""Bytes of JPEG and PNG: whole, or refused before memory is taken."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from perception_nodes.files.coded_images import coded_size, decode_coded
from perception_nodes.files.image_limits import ImageLimits
from perception_nodes.types import PerceptionError

RNG = np.random.default_rng(0)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 3)
JPEG = cv2.imencode('.jpg', SMOOTH)[1].tobytes()
GREY_JPEG = cv2.imencode('.jpg', SMOOTH[..., 0])[1].tobytes()
PROGRESSIVE = cv2.imencode('.jpg', SMOOTH, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
PNG = cv2.imencode('.png', SMOOTH)[1].tobytes()


def _jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header declares another size."""
    data = bytearray(JPEG)
    struct.pack_into('>HH', data, data.find(b'\xff\xc0') + 5, height, width)
    return bytes(data)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def _png_of(width: int, height: int) -> bytes:
    head = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + _png_chunk(b'IHDR', head)
            + _png_chunk(b'IDAT', zlib.compress(bytes(1000))) + _png_chunk(b'IEND', b''))


@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE])
def test_a_jpeg_is_decoded_as_libjpeg_does(data: bytes) -> None:
    pixels, is_rgb = decode_coded(data)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert is_rgb
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_grey_jpeg_has_one_channel() -> None:
    pixels, _ = decode_coded(GREY_JPEG)
    assert pixels.shape == (120, 160)
    expected = cv2.imdecode(np.frombuffer(GREY_JPEG, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_png_is_exact() -> None:
    pixels, is_rgb = decode_coded(PNG)
    assert not is_rgb
    np.testing.assert_array_equal(pixels, SMOOTH)


@pytest.mark.parametrize('data', [JPEG, GREY_JPEG, PROGRESSIVE, PNG])
@pytest.mark.parametrize('share', [0.001, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_image_is_refused(data: bytes, share: float) -> None:
    with pytest.raises(PerceptionError, match=r'not a whole|neither'):
        decode_coded(data[:int(len(data) * share)])


@pytest.mark.parametrize('data', [JPEG, GREY_JPEG])
@pytest.mark.parametrize('end', [0.5, 0.8, 1.0])
def test_a_jpeg_with_a_hole_is_refused(data: bytes, end: float) -> None:
    """It ends with an end of image, and is grey where something is missing."""
    rest = data[int(len(data) * end):] or b'\xff\xd9'
    with pytest.raises(PerceptionError, match='not a whole jpeg'):
        decode_coded(data[:int(len(data) * 0.4)] + rest)


def test_one_wrong_byte_of_a_png_is_seen() -> None:
    for place in range(8, len(PNG), 97):
        damaged = bytearray(PNG)
        damaged[place] ^= 0x10
        with pytest.raises(PerceptionError):
            decode_coded(bytes(damaged))


@pytest.mark.parametrize('padding', [b'\x00', b'\x00' * 40, b'\xab\xcd', b'\x01\x02\x03\x04'])
def test_the_padding_of_webcams_is_taken(padding: bytes) -> None:
    """Many write some bytes between the last block and the end; nothing is missing."""
    expected, _ = decode_coded(JPEG)
    found, _ = decode_coded(JPEG[:-2] + padding + JPEG[-2:])
    np.testing.assert_array_equal(found, expected)


def test_more_than_padding_is_damage() -> None:
    with pytest.raises(PerceptionError, match='extraneous bytes'):
        decode_coded(JPEG[:-2] + JPEG[900:1000].replace(b'\xff', b'\xfe') + JPEG[-2:])


def test_a_webcam_leaves_the_tables_out() -> None:
    """Motion JPEG: the Huffman tables are those of the standard, and not in the file."""
    kept, place = JPEG[:2], 2
    while JPEG[place + 1] != 0xDA:
        end = place + 2 + struct.unpack_from('>H', JPEG, place + 2)[0]
        kept += b'' if JPEG[place + 1] == 0xC4 else JPEG[place:end]
        place = end
    assert len(kept) + len(JPEG) - place < len(JPEG) - 300
    np.testing.assert_array_equal(decode_coded(kept + JPEG[place:])[0], decode_coded(JPEG)[0])


def test_zeros_behind_the_end_do_no_harm() -> None:
    np.testing.assert_array_equal(decode_coded(JPEG + bytes(64))[0], decode_coded(JPEG)[0])


@pytest.mark.parametrize('make', [_jpeg_of, _png_of])
@pytest.mark.parametrize(
    ('width', 'height', 'reason'),
    [
        (20000, 20000, 'larger than any camera makes'), (65000, 10, 'larger than any camera'),
        (10000, 10000, 'bytes cannot hold 10000x10000'), (0, 10, 'empty image: 0x10'),
    ],
)
def test_a_declared_size_is_checked_first(
    make: object, width: int, height: int, reason: str
) -> None:
    with pytest.raises(PerceptionError, match=reason):
        decode_coded(make(width, height))


def test_the_limit_is_a_parameter() -> None:
    with pytest.raises(PerceptionError, match=r'the limit is 0\.01 megapixels'):
        decode_coded(JPEG, ImageLimits(megapixels=0.01))
    with pytest.raises(PerceptionError, match='must be positive'):
        ImageLimits(megapixels=0.0)


def test_sizes_without_decoding() -> None:
    assert [coded_size(data) for data in (JPEG, GREY_JPEG, PROGRESSIVE, PNG)] == [(160, 120)] * 4
    for data in (b'', b'\xff', b'\xff\xd8', b'\xff\xd8\xff\xda' + bytes(20), PNG[:20], b'GIF89a'):
        with pytest.raises(PerceptionError):
            coded_size(data)
