# SPDX-License-Identifier: Apache-2.0
"""Every encoding that is read, by exact pixels; every malformed image, by its reason."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.messages.image import (
    compressed_message,
    decode_array,
    decode_image,
    encode_image,
    image_message,
)
from perception_nodes.messages.primitives import header
from perception_nodes.types import Image, PerceptionError

Maker = Callable[..., Any]

RGB = np.array([[[255, 0, 10], [1, 2, 3]], [[40, 50, 60], [7, 8, 9]]], np.uint8)
MONO = np.array([[0, 1, 2], [253, 254, 255]], np.uint8)
ALPHA = np.full((2, 2, 1), 77, np.uint8)


@pytest.mark.parametrize(
    ('encoding', 'stored'),
    [
        ('rgb8', RGB),
        ('bgr8', RGB[..., ::-1]),
        ('8UC3', RGB[..., ::-1]),
        ('rgba8', np.concatenate([RGB, ALPHA], axis=2)),
        ('bgra8', np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
        ('8UC4', np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
        ('rgb16', RGB.astype('<u2') * 257),
        ('bgr16', RGB[..., ::-1].astype('<u2') * 257),
    ],
)
def test_colour_comes_out_as_rgb(raw_image: Maker, encoding: str, stored: np.ndarray) -> None:
    image = decode_image(raw_image(encoding, stored, width=2))
    np.testing.assert_array_equal(image.data, RGB)
    assert (image.stamp_ns, image.frame_id) == (7_000_000_003, 'cam')


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_mono_stays_one_channel(raw_image: Maker, encoding: str) -> None:
    np.testing.assert_array_equal(decode_image(raw_image(encoding, MONO, width=3)).data, MONO)


@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
@pytest.mark.parametrize('order', ['<', '>'])
def test_sixteen_bits_in_both_byte_orders(raw_image: Maker, encoding: str, order: str) -> None:
    values = np.array([[0, 257, 128, 129], [65535, 65279, 1000, 32768]], f'{order}u2')
    message = raw_image(encoding, values, width=4, is_bigendian=int(order == '>'))
    np.testing.assert_array_equal(decode_array(message), values)
    # 65535 -> 255; 129 / 257 rounds up, 128 / 257 down.
    expected = np.array([[0, 1, 0, 1], [255, 254, 4, 128]], np.uint8)
    np.testing.assert_array_equal(decode_image(message).data, expected)


@pytest.mark.parametrize('order', ['<', '>'])
def test_float_grey_runs_from_zero_to_one(raw_image: Maker, order: str) -> None:
    values = np.array([[0.0, 1.0], [0.5, np.nan]], f'{order}f4')
    message = raw_image('32FC1', values, width=2, is_bigendian=int(order == '>'))
    np.testing.assert_array_equal(decode_array(message), values)
    np.testing.assert_array_equal(decode_image(message).data, [[0, 255], [128, 0]])


def test_flow_keeps_its_two_channels(raw_image: Maker) -> None:
    values = np.arange(8, dtype='<f4').reshape(2, 2, 2)
    np.testing.assert_array_equal(decode_array(raw_image('32FC2', values, width=2)), values)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_gives_back_a_flat_colour(raw_image: Maker, pattern: str, bits: int) -> None:
    """Of one flat colour every interpolation of the mosaic is exact."""
    colour = {'r': 200, 'g': 120, 'b': 30}
    tile = np.array([[colour[pattern[0]], colour[pattern[1]]],
                     [colour[pattern[2]], colour[pattern[3]]]])
    mosaic = np.tile(tile, (4, 5)).astype('<u2' if bits == 16 else np.uint8)
    stored = mosaic * 257 if bits == 16 else mosaic
    image = decode_image(raw_image(f'bayer_{pattern}{bits}', stored, width=10))
    np.testing.assert_array_equal(
        image.data, np.broadcast_to(np.uint8([200, 120, 30]), (8, 10, 3))
    )


@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv_by_bt601(raw_image: Maker, encoding: str, order: str) -> None:
    y0, y1, u, v = 81, 145, 90, 240
    sample = {'uyvy': [u, y0, v, y1], 'yuyv': [y0, u, y1, v]}[order]
    image = decode_image(raw_image(encoding, np.uint8([sample, sample]), width=2))
    expected = [
        [1.164 * (y - 16) + 1.596 * (v - 128),
         1.164 * (y - 16) - 0.813 * (v - 128) - 0.391 * (u - 128),
         1.164 * (y - 16) + 2.018 * (u - 128)]
        for y in (y0, y1)
    ]
    np.testing.assert_allclose(image.data[0], np.clip(expected, 0, 255), atol=1.0)


def test_rows_may_be_padded(raw_image: Maker) -> None:
    padded = np.full((2, 12), 99, np.uint8)
    padded[:, :6] = RGB[..., ::-1].reshape(2, 6)
    image = decode_image(raw_image('bgr8', padded, width=2))
    np.testing.assert_array_equal(image.data, RGB)
    values = np.full((2, 4), 5000, '>u2')
    values[:, :3] = MONO.astype(np.uint16) * 257
    message = raw_image('mono16', values, width=3, is_bigendian=1)
    np.testing.assert_array_equal(decode_image(message).data, MONO)


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        ({'step': 5}, 'step 5 is too small'),
        ({'step': 12}, '12 bytes but step 12 x height 2 = 24'),
        ({'height': 3}, 'height 3'),
        ({'height': 0}, 'empty image: 2x0'),
        ({'width': 0}, 'empty image: 0x2'),
        ({'width': 3}, 'step 6 is too small'),
        ({'height': 1 << 20}, 'larger than any camera'),
        ({'encoding': 'nv61'}, "'nv61' is not known"),
        ({'encoding': ''}, "'' is not known"),
        ({'encoding': '32FC3', 'step': 24, 'height': 1, 'data': np.zeros(24, np.uint8)},
         'measurements, not an image'),
        ({'encoding': 'bayer_rggb8', 'width': 5}, 'odd size 5x2'),
        ({'encoding': 'yuv422', 'width': 3}, 'odd size 3x2'),
        ({'data': np.zeros(0, np.uint8)}, 'image data is 0 bytes'),
    ],
)
def test_malformed_images_are_refused(
    raw_image: Maker, fields: dict[str, Any], reason: str
) -> None:
    message = raw_image('rgb8', RGB, width=2)
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(PerceptionError, match=reason):
        decode_image(message)


def test_depth_is_not_taken_for_a_image(raw_image: Maker) -> None:
    with pytest.raises(PerceptionError, match='depth image'):
        decode_image(raw_image('32FC1', np.full((2, 2), 3.5, '<f4'), width=2))


def test_an_impossible_stamp_is_refused(raw_image: Maker, factory: BagFactory) -> None:
    bad = header(factory, 0, 'cam')
    bad.stamp.nanosec = 4_000_000_000
    with pytest.raises(PerceptionError, match='invalid stamp'):
        decode_image(raw_image('rgb8', RGB, width=2, header=bad))


@pytest.mark.parametrize('pixels', [RGB, MONO])
def test_png_is_exact(factory: BagFactory, wire: Maker, pixels: np.ndarray) -> None:
    image = Image(pixels, 12, 'cam')
    back = decode_image(wire(compressed_message(image, factory, 'png')))
    np.testing.assert_array_equal(back.data, pixels)
    assert (back.stamp_ns, back.frame_id) == (12, 'cam')


def test_jpeg_keeps_the_order_of_channels(factory: BagFactory, wire: Maker) -> None:
    flat = np.broadcast_to(np.uint8([220, 40, 10]), (32, 32, 3))
    message = wire(compressed_message(Image(flat.copy()), factory, 'jpeg'))
    assert message.format == 'rgb8; jpeg compressed bgr8'
    np.testing.assert_allclose(decode_image(message).data, flat, atol=3)


def _compressed(factory: BagFactory, data: np.ndarray, layout: str) -> Any:
    return factory.make(
        'sensor_msgs/msg/CompressedImage', header=header(factory, 0, ''), format=layout,
        data=np.frombuffer(data.tobytes(), np.uint8),
    )


def test_png_of_sixteen_bits_and_with_alpha(factory: BagFactory) -> None:
    deep = cv2.imencode('.png', MONO.astype(np.uint16) * 257)[1]
    np.testing.assert_array_equal(
        decode_image(_compressed(factory, deep, 'mono16; png compressed ')).data, MONO
    )
    clear = cv2.imencode('.png', np.concatenate([RGB[..., ::-1], ALPHA], axis=2))[1]
    np.testing.assert_array_equal(decode_image(_compressed(factory, clear, 'png')).data, RGB)


def test_a_stream_that_says_it_stored_rgb(factory: BagFactory) -> None:
    """image_transport: without 'compressed bgr' the stored channels are not to be turned."""
    stored = cv2.imencode('.png', RGB)[1]
    image = decode_image(_compressed(factory, stored, 'rgb8; png compressed rgb8'))
    np.testing.assert_array_equal(image.data, RGB)


@pytest.mark.parametrize(
    ('data', 'layout', 'reason'),
    [
        (np.zeros(0, np.uint8), 'jpeg', 'no data'),
        (np.arange(50, dtype=np.uint8), 'jpeg', 'neither a jpeg nor a png'),
        (np.arange(50, dtype=np.uint8), '16UC1; compressedDepth png', 'depth image'),
    ],
)
def test_malformed_compressed_images_are_refused(
    factory: BagFactory, data: np.ndarray, layout: str, reason: str
) -> None:
    with pytest.raises(PerceptionError, match=reason):
        decode_image(_compressed(factory, data, layout))


@pytest.mark.parametrize('pixels', [RGB, MONO])
def test_images_go_out_and_come_back(
    factory: BagFactory, wire: Maker, pixels: np.ndarray
) -> None:
    back = decode_image(wire(image_message(Image(pixels, 3, 'left'), factory)))
    np.testing.assert_array_equal(back.data, pixels)
    assert (back.stamp_ns, back.frame_id) == (3, 'left')


def test_encoding_must_fit_the_array(factory: BagFactory) -> None:
    with pytest.raises(PerceptionError, match='does not hold'):
        encode_image(RGB, 'mono8', factory, 0, '')
    with pytest.raises(PerceptionError, match='does not hold'):
        encode_image(MONO, '32FC1', factory, 0, '')


@pytest.mark.parametrize('coding', ['png', 'jpg'])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_compressed_mosaic_becomes_colour(
    factory: BagFactory, pattern: str, coding: str
) -> None:
    """image_transport stores a Bayer image as grey and names the pattern in front."""
    colour = {'r': 130, 'g': 120, 'b': 110}
    tile = np.array([[colour[pattern[0]], colour[pattern[1]]],
                     [colour[pattern[2]], colour[pattern[3]]]], np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, 100] if coding == 'jpg' else []
    coded = cv2.imencode(f'.{coding}', np.tile(tile, (16, 16)), options)[1]
    kind = {'png': 'png', 'jpg': 'jpeg'}[coding]
    image = decode_image(_compressed(factory, coded, f'bayer_{pattern}8; {kind} compressed '))
    np.testing.assert_allclose(
        image.data, np.broadcast_to(np.uint8([130, 120, 110]), (32, 32, 3)), atol=2
    )


def test_a_mosaic_that_was_made_colour_before(factory: BagFactory) -> None:
    coded = cv2.imencode('.png', RGB[..., ::-1])[1]
    image = decode_image(_compressed(factory, coded, 'bayer_rggb8; png compressed bgr8'))
    np.testing.assert_array_equal(image.data, RGB)


def _bt601(y: int, u: int, v: int) -> list[float]:
    """Limited range, by ITU-R BT.601."""
    scaled = 255 / 219 * (y - 16)
    return [
        scaled + 1.596 * (v - 128),
        scaled - 0.813 * (v - 128) - 0.391 * (u - 128),
        scaled + 2.018 * (u - 128),
    ]


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'nv24'])
def test_semi_planar_by_bt601(raw_image: Maker, encoding: str, padding: int) -> None:
    """A plane of luma; behind it chroma of each pixel (nv24) or of each four."""
    luma = np.uint8([[81, 145, 60, 200], [90, 120, 180, 30]])
    u, v = np.uint8([[90, 140]]), np.uint8([[200, 110]])
    full = encoding == 'nv24'
    if full:
        u, v = u.repeat(2, axis=0).repeat(2, axis=1), v.repeat(2, axis=0).repeat(2, axis=1)
        u[1, 2] = 70
    first, second = (v, u) if encoding == 'nv21' else (u, v)
    chroma = np.stack([first, second], axis=2).reshape(len(u), -1)
    step = 4 + padding
    rows = np.full((6 if full else 3, step), 99, np.uint8)
    rows[:2, :4] = luma
    if full:
        rows[2:].reshape(2, 2 * step)[:, :8] = chroma
    else:
        rows[2:, :4] = chroma
    message = raw_image(encoding, luma, width=4)
    message.step, message.data = step, rows.reshape(-1)
    found = decode_image(message).data
    for row in range(2):
        for column in range(4):
            at = (row, column) if full else (0, column // 2)
            expected = np.clip(_bt601(int(luma[row, column]), int(u[at]), int(v[at])), 0, 255)
            np.testing.assert_allclose(found[row, column], expected, atol=1.5)


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        ({'width': 3}, 'odd size 3x2'), ({'step': 2}, 'step 2 is too small'),
        ({'data': np.zeros(9, np.uint8)}, 'nv12 of step 4 x height 2 has 12'),
        ({'height': 1 << 20}, 'larger than any camera'), ({'width': 0}, 'empty image'),
    ],
)
def test_semi_planar_that_cannot_be(
    raw_image: Maker, fields: dict[str, Any], reason: str
) -> None:
    message = raw_image('nv12', np.zeros((3, 4), np.uint8), width=4)
    message.height = 2
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(PerceptionError, match=reason):
        decode_image(message)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('encoding', ['rgba16', 'bgra16'])
def test_sixteen_bits_with_alpha(raw_image: Maker, encoding: str, order: str) -> None:
    colours = RGB if encoding == 'rgba16' else RGB[..., ::-1]
    stored = np.concatenate([colours, ALPHA], axis=2).astype(f'{order}u2') * 257
    message = raw_image(encoding, stored.astype(f'{order}u2'), width=2,
                        is_bigendian=int(order == '>'))
    np.testing.assert_array_equal(decode_image(message).data, RGB)


@pytest.mark.parametrize(
    ('encoding', 'values'),
    [
        ('8UC2', np.arange(8, dtype=np.uint8).reshape(2, 2, 2)),
        ('16SC1', np.array([[-32768, -1], [0, 32767]], '<i2')),
        ('16SC1', np.array([[-32768, -1], [0, 32767]], '>i2')),
    ],
)
def test_measurements_are_arrays_and_no_images(
    raw_image: Maker, encoding: str, values: np.ndarray
) -> None:
    message = raw_image(encoding, values, width=2, is_bigendian=int(values.dtype.str[0] == '>'))
    np.testing.assert_array_equal(decode_array(message), values)
    with pytest.raises(PerceptionError, match=r'its two channels|measurements'):
        decode_image(message)
