# SPDX-License-Identifier: Apache-2.0
"""Our decoder and CvBridge on the same messages: docs/ecosystem.md's table."""

import sys

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.ros.factory import RclpyFactory
from perception_nodes.ros.input.codecs import BridgeCodec, OwnCodec, open_codec
from perception_nodes.types import PerceptionError

WIDTH, HEIGHT = 6, 4
RNG = np.random.default_rng(11)
BYTES = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
WORDS = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4), np.uint16)
BAYER = [f'bayer_{pattern}{bits}' for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')
         for bits in (8, 16)]
# Largest difference of a pixel: 16 bits are rounded before the colours are mixed, or after.
ALIKE = {
    'mono8': 0, 'rgb8': 0, 'bgr8': 0, 'rgba8': 0, 'bgra8': 0, 'mono16': 0, 'rgb16': 0, 'bgr16': 0,
    'rgba16': 0, 'bgra16': 0, 'yuv422': 0, 'yuv422_yuy2': 0,
    **{name: 0 if name.endswith('8') else 1 for name in BAYER},
}


@pytest.fixture
def bridge():
    """CvBridge behind our interface; skip where it is not installed."""
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed')
    codec = open_codec('cv_bridge')
    assert isinstance(codec, BridgeCodec)
    return codec


def raw(encoding, pixels, *, pad=0, big=False, extra=0):
    """A message of pixels; rows padded, the other byte order, bytes behind the last row."""
    stored = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder('>' if big else '<')))
    rows = stored.view(np.uint8).reshape(HEIGHT, -1)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=200)
    data = np.append(rows.reshape(-1), np.zeros(extra, np.uint8))
    return Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=int(big), step=rows.shape[1],
        data=RclpyFactory().bytes_field(data),
    )


def pixels_of(encoding):
    """Stored pixels that any encoding of this name can have."""
    source = WORDS if '16' in encoding else BYTES
    if encoding.startswith(('mono', 'bayer')):
        return np.ascontiguousarray(source[..., 0])
    channels = 2 if encoding.startswith('yuv') else 4 if 'a' in encoding else 3
    return np.ascontiguousarray(source[..., :channels])


def outcome(codec, message):
    """Pixels, or the reason why there are none."""
    try:
        return codec(message, DEFAULT_IMAGE_LIMITS).data
    except PerceptionError as error:
        return str(error)


@pytest.mark.parametrize('encoding', ALIKE)
def test_packed_little_endian_is_alike(bridge, encoding):
    """Whatever the encoding that both read."""
    message = raw(encoding, pixels_of(encoding))
    ours, theirs = outcome(OwnCodec(), message), outcome(bridge, message)
    assert isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray), (ours, theirs)
    difference = np.abs(ours.astype(int) - theirs)
    assert ours.shape == theirs.shape and difference.max() <= ALIKE[encoding], difference.max()


@pytest.mark.parametrize(
    ('encoding', 'pad', 'sheared'),
    [('mono8', 3, False), ('bgr8', 6, False), ('bgr8', 2, True), ('bgra8', 4, False),
     ('mono16', 2, False), ('rgb16', 2, True)],
)
def test_padded_rows(bridge, encoding, pad, sheared):
    """CvBridge is right where a row is padded by whole pixels; else it is wrong in silence."""
    stored = pixels_of(encoding)
    message = raw(encoding, stored, pad=pad)
    expected = outcome(OwnCodec(), raw(encoding, stored))
    np.testing.assert_array_equal(outcome(OwnCodec(), message), expected)
    found = outcome(bridge, message)
    if not sheared:
        np.testing.assert_array_equal(found, expected)
        return
    assert found.startswith('cv_bridge shears rows padded to ')
    import cv_bridge
    bare = cv_bridge.CvBridge().imgmsg_to_cv2(message, 'passthrough')
    if bare.shape == stored.shape and (bare == stored).all():
        pytest.skip('this release of cv_bridge reads such rows')


@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgr8'])
def test_big_endian(bridge, encoding):
    """Ours swaps; CvBridge does with NumPy 1, and fails with NumPy 2 even on single bytes."""
    stored = pixels_of(encoding)
    expected = outcome(OwnCodec(), raw(encoding, stored))
    message = raw(encoding, stored, big=True)
    np.testing.assert_array_equal(outcome(OwnCodec(), message), expected)
    found = outcome(bridge, message)
    if isinstance(found, str):
        assert found.startswith(f"cv_bridge cannot read big-endian '{encoding}'")
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ('encoding', 'pixels', 'ours_reads'),
    [
        ('8UC1', BYTES[..., 0], True), ('8UC3', BYTES[..., :3], True),
        ('8UC4', BYTES, True), ('16UC1', WORDS[..., 0], True),
        ('32FC1', np.float32(BYTES[..., 0] / 255), True), ('uyvy', BYTES[..., :2], True),
        ('8UC2', BYTES[..., :2], False), ('16SC1', WORDS[..., 0].view(np.int16), False),
        ('64FC1', np.zeros((4, 6)), False), ('nothing8', BYTES[..., 0], False),
    ],
)
def test_what_only_one_makes_an_image_of(bridge, encoding, pixels, ours_reads):
    """CvBridge converts no OpenCV type name to a colour."""
    message = raw(encoding, np.ascontiguousarray(pixels))
    assert isinstance(outcome(OwnCodec(), message), np.ndarray) is ours_reads
    if encoding != 'uyvy':  # newer releases know it
        assert outcome(bridge, message).startswith('cv_bridge cannot read')


@pytest.mark.parametrize(('encoding', 'rows'), [('nv12', 6), ('nv21', 6), ('nv24', 12)])
def test_semi_planar_only_ours_reads(bridge, encoding, rows):
    """CvBridge knows nv21 and nv24 as two channels at most."""
    message = Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH,
        data=RclpyFactory().bytes_field(RNG.integers(0, 256, (rows, WIDTH), np.uint8)),
    )
    assert outcome(OwnCodec(), message).shape == (HEIGHT, WIDTH, 3)
    assert isinstance(outcome(bridge, message), str)


@pytest.mark.parametrize('extra', [-3, 5])
def test_data_that_disagrees_with_the_header_is_refused_by_both(bridge, extra):
    """CvBridge itself takes what is too long."""
    message = raw('bgr8', pixels_of('bgr8'), extra=max(extra, 0))
    if extra < 0:
        message.data = message.data[:extra]
    for codec in (OwnCodec(), bridge):
        assert outcome(codec, message).startswith('image data is')


def test_limits_and_compressed_images_are_those_of_ours(bridge):
    """CvBridge has none, and answers None to half a JPEG."""
    with pytest.raises(PerceptionError, match='larger than any camera'):
        bridge(raw('mono8', pixels_of('mono8')), ImageLimits(side_px=5))
    half = CompressedImage(format='jpeg', data=b'\xff\xd8\xff\xe0')
    assert outcome(bridge, half) == outcome(OwnCodec(), half)
    assert outcome(bridge, half).startswith('compressed image (')


def test_encoding_that_only_cv_bridge_knows_is_accepted(bridge, monkeypatch):
    """Without a parameter: as if ours had no bgr8."""
    from perception_nodes.messages import image as ours
    message = raw('bgr8', pixels_of('bgr8'))
    expected = outcome(OwnCodec(), message)
    monkeypatch.setattr(
        ours, 'ENCODINGS', {k: v for k, v in ours.ENCODINGS.items() if k != 'bgr8'}
    )
    np.testing.assert_array_equal(outcome(OwnCodec(), message), expected)


def test_without_the_library(monkeypatch):
    """Own works and tells what it reads; the other says what it needs."""
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    found = outcome(open_codec('own'), raw('rgb8', pixels_of('rgb8')))
    np.testing.assert_array_equal(found, pixels_of('rgb8'))
    assert "'nothing8' is not known" in outcome(
        open_codec('own'), raw('nothing8', pixels_of('mono8'))
    )
    with pytest.raises(
        PerceptionError,
        match=r'codec: cv_bridge needs cv_bridge, which is not installed: install ros-\$ROS_DIS',
    ):
        open_codec('cv_bridge')
