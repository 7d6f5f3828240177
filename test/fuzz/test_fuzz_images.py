# SPDX-License-Identifier: Apache-2.0
"""Images and camera_info that were damaged."""

import random
import struct
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from fuzzing import NASTY, damaged_bytes, fuzz, require_none

from perception_nodes.bags.factory import BagFactory
from perception_nodes.messages.camera import camera_from_info, info_from_camera
from perception_nodes.messages.encodings import ENCODINGS
from perception_nodes.messages.image import decode_image
from perception_nodes.messages.semi_planar import SEMI_PLANAR
from perception_nodes.types import Camera

SMOOTH = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 2
)
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id='c')
LAYOUTS = (
    '', 'jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bayer_rggb8; png compressed ', 'x' * 1000,
    'bayer_grbg16; png compressed ', 'mono16; png compressed ', '16UC1; compressedDepth png',
    'rgb8; jpeg compressed rgb8', 'bayer_x; jpeg compressed', '\ud800',
)
SIZES = (0, 1, 2, 3, 16, 31, 64, 65535, 2**31, 2**32 - 1)


def coded(data: bytes, layout: str = '') -> Any:
    return SimpleNamespace(header=HEADER, format=layout, data=np.frombuffer(data, np.uint8))


def test_raw_images() -> None:
    def target(rng: random.Random) -> None:
        encoding = rng.choice((*ENCODINGS, *SEMI_PLANAR, 'x', ''))
        known = ENCODINGS.get(encoding)
        height, width = (rng.choice((2, 16, 64, rng.choice(SIZES))) for _ in range(2))
        row = width * (known.pixel_bytes if known else 1)
        step = row + rng.choice((0, 0, 0, 0, -1, 6, 1000))
        halves = {'nv12': 3, 'nv21': 3, 'nv24': 6}.get(encoding, 2)
        size = min(max(step, 0) * height * rng.choice((halves,) * 5 + (1, 4)) // 2, 1 << 20)
        image = decode_image(SimpleNamespace(
            header=HEADER, height=height, width=width, step=max(step, 0), encoding=encoding,
            is_bigendian=rng.choice((0, 1, 255)),
            data=np.frombuffer(rng.randbytes(size), np.uint8),
        ))
        assert image.data.shape[:2] == (height, width)
        assert image.data.dtype == np.uint8

    require_none(fuzz('raw image', target, 400))


@pytest.mark.parametrize('kind', ['jpg', 'png', 'grey', 'progressive'])
def test_compressed_images(kind: str) -> None:
    pixels = SMOOTH[..., 0] if kind == 'grey' else SMOOTH
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if kind == 'progressive' else []
    good = cv2.imencode('.png' if kind == 'png' else '.jpg', pixels, options)[1].tobytes()
    whole = decode_image(coded(good)).data

    def target(rng: random.Random) -> None:
        data = damaged_bytes(rng, good)
        if rng.random() < 0.3 and kind != 'png':
            at = data.find(b'\xff\xc0')
            if 0 <= at < len(data) - 9:
                made = bytearray(data)
                struct.pack_into('>HH', made, at + 5, rng.choice(SIZES) % 65536,
                                 rng.choice(SIZES) % 65536)
                data = bytes(made)
        found = decode_image(coded(data, rng.choice(LAYOUTS))).data
        # Every bit of a png is under a checksum; behind its end may be anything.
        if kind == 'png' and found.shape == whole.shape:
            assert (found == whole).all() or (found == whole[..., ::-1]).all()

    require_none(fuzz(f'compressed {kind}', target, 150))


@pytest.mark.parametrize('kind', ['colour', 'grey'])
def test_no_hole_in_a_jpeg_is_taken_for_an_image(kind: str) -> None:
    """A lost packet. JPEG has no checksum: one in a hundred may fit by chance."""
    pixels = cv2.resize(SMOOTH[..., 0] if kind == 'grey' else SMOOTH, (480, 320))
    good = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    start = good.find(b'\xff\xda') + 14

    def target(rng: random.Random) -> None:
        size = rng.randint(64, (len(good) - start) // 2)
        at = rng.randrange(start, len(good) - size - 2)
        decode_image(coded(good[:at] + good[at + size:]))

    figures = fuzz(f'jpeg hole {kind}', target, 100)
    require_none(figures)
    assert figures.accepted <= figures.inputs / 100


def test_camera_infos() -> None:
    """A camera that is accepted has finite numbers and a size."""
    camera = Camera.pinhole(64, 48, 50, 50, 31.5, 23.5, baseline_m=0.3, frame_id='c')
    numbers = [value for value in NASTY if isinstance(value, int | float)]

    def target(rng: random.Random) -> None:
        info = info_from_camera(camera, BagFactory(), 5)
        for name in ('k', 'p', 'r'):
            setattr(info, name, getattr(info, name).copy())
        for _ in range(rng.randint(1, 3)):
            name = rng.choice(('k', 'p', 'r', 'd', 'width', 'height', 'roi', 'binning_x', 'model'))
            value = rng.choice(numbers)
            if name in ('k', 'p', 'r'):
                getattr(info, name)[rng.randrange(9)] = float(value)
            elif name == 'd':
                info.d = np.array([float(value)] * rng.choice((0, 1, 4, 5, 8, 14, 30)))
            elif name == 'roi':
                setattr(info.roi, rng.choice(('x_offset', 'y_offset', 'width', 'height')),
                        int(rng.choice(SIZES)))
            elif name == 'model':
                info.distortion_model = rng.choice(('', 'equidistant', 'x' * 1000, 'fisheye'))
            else:
                setattr(info, name, int(rng.choice(SIZES)))
        found = camera_from_info(info)
        assert found.width > 0
        assert found.height > 0
        assert np.isfinite([*found.k.flat, *found.p.flat, *found.r.flat]).all()

    require_none(fuzz('camera_info', target, 300))
