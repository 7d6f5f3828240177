# SPDX-License-Identifier: Apache-2.0
"""Small bags, written by rosbags in every way that rosbag2 writes them."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.types import Camera, Image

Entry = tuple[str, int, Any]
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0), QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False,
)
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
        compression: CompressionMode = CompressionMode.NONE, latched: Iterable[str] = (),
    ) -> Path:
        path, store = tmp_path / name, typestore()
        writer = Writer(path, version=9, storage_plugin=storage)
        writer.set_compression(compression, CompressionFormat.ZSTD)
        with writer:
            connections: dict[str, Any] = {}
            for topic, recorded_ns, message in entries:
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(
                        topic, kind, typestore=store,
                        offered_qos_profiles=[LATCHED] if topic in latched else [],
                    )
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


def _text(text: str) -> bytes:
    return struct.pack('<I', len(text)) + text.encode()


def mcap_record(code: int, body: bytes) -> bytes:
    """One record of an MCAP (mcap.dev/spec)."""
    return struct.pack('<BQ', code, len(body)) + body


class McapBytes:
    """Builds an MCAP byte by byte: what no writer at hand leaves behind."""

    def __init__(self, entries: Iterable[Entry] = (), profile: str = 'ros2') -> None:
        self.head = b'\x89MCAP0\r\n' + mcap_record(1, _text(profile) + _text('test'))
        self.channels: dict[str, int] = {}
        self.descriptions: list[bytes] = []
        self.messages: list[tuple[int, int, bytes]] = []
        store = typestore()
        for topic, recorded_ns, message in entries:
            data = bytes(store.serialize_cdr(message, message.__msgtype__))
            self.add(topic, recorded_ns, data, message.__msgtype__)

    def add(
        self, topic: str, recorded_ns: int, data: bytes, kind: str, encoding: str = 'cdr',
        schema: str = 'ros2msg',
    ) -> None:
        """Add a message, and its channel if it is new."""
        if topic not in self.channels:
            key = self.channels[topic] = len(self.channels) + 1
            self.descriptions += [
                mcap_record(3, struct.pack('<H', key) + _text(kind) + _text(schema) + _text('')),
                mcap_record(4, struct.pack('<HH', key, key) + _text(topic) + _text(encoding)
                            + struct.pack('<I', 0)),
            ]
        self.messages.append((self.channels[topic], recorded_ns, data))

    def loose(self) -> bytes:
        """All messages as records, in the order in which they were added."""
        return b''.join(
            mcap_record(5, struct.pack('<HIQQ', key, 0, time, time) + data)
            for key, time, data in self.messages
        )

    def chunk(self, *, packed: Any = lambda data: data, compression: str = '',
              size: int | None = None, crc: int | None = None) -> bytes:
        """All descriptions and messages in one chunk without a message index."""
        body = b''.join(self.descriptions) + self.loose()
        times = [time for _, time, _ in self.messages] or [0]
        data = packed(body)
        return mcap_record(6, struct.pack(
            '<QQQI', min(times), max(times), len(body) if size is None else size,
            zlib.crc32(body) if crc is None else crc,
        ) + _text(compression) + struct.pack('<Q', len(data)) + data)

    def file(self, data: bytes, *, statistics: bool = True, summary: bool = True) -> bytes:
        """The whole file around some records of its data."""
        body = self.head + data + mcap_record(15, struct.pack('<I', 0))
        start = len(body) if summary else 0
        if summary:
            body += b''.join(self.descriptions)
        if statistics and summary:
            counts = Counter(key for key, _, _ in self.messages)
            entries = b''.join(struct.pack('<HQ', *item) for item in sorted(counts.items()))
            body += mcap_record(11, struct.pack(
                '<QHIIIIQQ', len(self.messages), 1, len(self.channels), 0, 0, 1, 0, 0
            ) + struct.pack('<I', len(entries)) + entries)
        return body + mcap_record(2, struct.pack('<QQI', start, 0, 0)) + b'\x89MCAP0\r\n'


@pytest.fixture
def mcap_bytes() -> type[McapBytes]:
    """Give the builder of MCAP files."""
    return McapBytes
