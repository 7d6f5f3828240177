# SPDX-License-Identifier: Apache-2.0
"""Small bags, written by rosbags in every way that rosbag2 writes them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.types import Camera, Image

Entry = tuple[str, int, Any]
WriteBag = Callable[..., Path]

WIDTH, HEIGHT, BASELINE_M, DISPARITY_PX = 192, 96, 0.3, 12
FRAME_NS = 100_000_000
START_NS = 1_600_000_000_000_000_000


def camera(side: str, **fields: Any) -> Camera:
    """Left or right camera of the test rig."""
    ideal = Camera.pinhole(
        WIDTH, HEIGHT, 160.0, 160.0, 95.5, 47.5,
        baseline_m=BASELINE_M if side == 'right' else 0.0, frame_id='left_optical',
    )
    values = {name: getattr(ideal, name) for name in ideal.__dataclass_fields__}
    return Camera(**{**values, **fields})


def texture(seed: int = 0) -> np.ndarray:
    """An image with corners at all scales, uint8 [H, W + 64]."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT, WIDTH + 64))
    for cell in (4, 8, 16):
        small = rng.uniform(0, 85, (HEIGHT // cell, (WIDTH + 64) // cell))
        picture += np.kron(small, np.ones((cell, cell)))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.uint8)


def stereo_entries(
    frames: int = 3, *, namespace: str = '/stereo', image: str = 'image_rect',
    cameras: dict[str, Camera] | None = None, start_ns: int = START_NS,
    mono: bool = True,
) -> list[Entry]:
    """Messages of a pair that looks at a wall sliding to the left by 2 px a frame.

    Disparity is 12 px: the wall is 4 m away and the cameras move 5 cm to the right a frame.
    """
    factory, wall = BagFactory(), texture()
    both = cameras or {side: camera(side) for side in ('left', 'right')}
    entries = []
    for frame in range(frames):
        stamp = start_ns + frame * FRAME_NS
        for side, shift in (('left', 0), ('right', DISPARITY_PX)):
            first = 2 * frame + shift
            pixels = np.ascontiguousarray(wall[:, first:first + WIDTH])
            pixels = pixels if mono else np.repeat(pixels[..., None], 3, axis=2)
            picture = Image(pixels, stamp, 'left_optical')
            base = f'{namespace}/{side}'
            entries.append((f'{base}/camera_info', stamp,
                            info_from_camera(both[side], factory, stamp)))
            entries.append((f'{base}/{image}', stamp, image_message(picture, factory)))
    return entries


@pytest.fixture
def write_bag(tmp_path: Path) -> WriteBag:
    """Write (topic, recorded_ns, message) entries as a rosbag2."""

    def write(
        entries: Iterable[Entry], name: str = 'bag', *,
        storage: StoragePlugin = StoragePlugin.MCAP,
        compression: CompressionMode = CompressionMode.NONE,
    ) -> Path:
        path, store = tmp_path / name, typestore()
        writer = Writer(path, version=9, storage_plugin=storage)
        writer.set_compression(compression, CompressionFormat.ZSTD)
        with writer:
            connections: dict[str, Any] = {}
            for topic, recorded_ns, message in entries:
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=store)
                data = store.serialize_cdr(message, kind)
                writer.write(connections[topic], recorded_ns, data)
        return path

    return write


@pytest.fixture
def stereo() -> Callable[..., list[Entry]]:
    """Give the maker of a stereo pair's messages."""
    return stereo_entries


@pytest.fixture
def make_camera() -> Callable[..., Camera]:
    """Give the maker of the test rig's cameras."""
    return camera
