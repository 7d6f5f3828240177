# SPDX-License-Identifier: Apache-2.0
"""A small stereo recording, in the forms that are damaged, and what is to come out of it."""

import struct
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.mcap_records import MAGIC
from perception_nodes.bags.reader import open_bag
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import compressed_message, image_message
from perception_nodes.pipelines.perception import StereoFrame
from perception_nodes.types import Camera, Image

WIDTH, HEIGHT, FRAMES = 64, 48, 4
START_NS, FRAME_NS = 1_700_000_000_000_000_000, 100_000_000
_CHUNK, _FOOTER = 6, 2


def entries(compressed: bool = False) -> list[tuple[str, int, object]]:
    """Messages of a pair that looks at a wall, and of a thing that is no camera."""
    factory, rng = BagFactory(), np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH + 40), np.uint8), (0, 0), 1.5)
    made: list[tuple[str, int, object]] = []
    for number in range(FRAMES):
        stamp = START_NS + number * FRAME_NS
        for side, shift, baseline_m in (('left', 0, 0.0), ('right', 8, 0.3)):
            camera = Camera.pinhole(WIDTH, HEIGHT, 50, 50, 31.5, 23.5, baseline_m=baseline_m,
                                    frame_id='optical')
            pixels = np.ascontiguousarray(wall[:, number + shift:number + shift + WIDTH])
            image = Image(pixels, stamp, 'optical')
            made.append((f'/{side}/camera_info', stamp, info_from_camera(camera, factory, stamp)))
            name = f'/{side}/image_rect' + ('/compressed' if compressed else '')
            made.append((name, stamp, compressed_message(image, factory, 'png') if compressed
                         else image_message(image, factory)))
        made.append(('/text', stamp, factory.make('std_msgs/msg/String', data='x' * 20)))
    return made


def write(folder: Path, storage: StoragePlugin, *, packed: bool = False,
          compressed: bool = False) -> Path:
    """Write the recording; the one file of it."""
    store = typestore()
    writer = Writer(folder, version=8, storage_plugin=storage)
    if packed:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        known: dict[str, object] = {}
        for topic, recorded_ns, message in entries(compressed):
            kind = message.__msgtype__
            if topic not in known:
                known[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(known[topic], recorded_ns, store.serialize_cdr(message, kind))
    (file,) = (path for path in folder.iterdir() if path.name != 'metadata.yaml')
    return file


def records(content: bytes) -> list[tuple[int, int, int]]:
    """Code, start of the body and its length of each record of an MCAP."""
    found, place = [], len(MAGIC)
    while place + 9 <= len(content) - len(MAGIC):
        code, length = struct.unpack_from('<BQ', content, place)
        found.append((code, place + 9, length))
        place += 9 + length
    return found


def with_checksums(content: bytes, unpack: object) -> bytes:
    """Fill in the checksums that rosbag2 writes and rosbags leaves out: of chunks and of the end.

    Parameters
    ----------
    unpack : gives a chunk's records of its data.
    """
    made = bytearray(content)
    for code, body, length in records(content):
        if code == _CHUNK:
            (name,) = struct.unpack_from('<I', content, body + 28)
            data = content[body + 40 + name:body + length]
            struct.pack_into('<I', made, body + 24, crc32(unpack(data)))
        elif code == _FOOTER:
            (start,) = struct.unpack_from('<Q', content, body)
            struct.pack_into('<I', made, body + 16, crc32(bytes(made[start:body + 16])))
    return bytes(made)


def frames_of(path: Path) -> tuple[list[tuple[int, int, float]], tuple[str, ...]]:
    """Stamp, checksum of the pixels and baseline of every pair, and what is told."""
    with open_bag(path) as bag:
        frames = BagFrames(bag, find_cameras(bag))
        found = [
            (frame.left.stamp_ns, crc32(frame.left.data.tobytes() + frame.right.data.tobytes()),
             frame.rig.baseline_m) if isinstance(frame, StereoFrame)
            else (frame.image.stamp_ns, 0, 0.0)
            for frame in frames
        ]
        return found, (*bag.notes, *frames.notes())
