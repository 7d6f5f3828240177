# SPDX-License-Identifier: Apache-2.0
"""A room with textured walls, seen exactly: every pixel is a ray cut with five planes."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from perception_nodes.geometry.warp import sample_bilinear
from perception_nodes.types import Camera, FloatArray, Image, StereoRig

WIDTH, HEIGHT, FOCAL_PX, BASELINE_M = 320, 200, 200.0, 0.3
# Normal n and offset c of each wall, n . p = c, in the room's optical axes (z forward), metres.
WALLS = (
    ((0, 1, 0), 1.5), ((0, -1, 0), 2.5), ((1, 0, 0), 3.0), ((-1, 0, 0), 3.5), ((0, 0, 1), 25.0),
)


class TexturedRoom:
    """Renders grey images from any pose in the room, with a little sensor noise."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.rig = StereoRig(
            Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 159.5, 99.5),
            Camera.pinhole(
                WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 159.5, 99.5, baseline_m=BASELINE_M
            ),
        )
        self._textures = [self._texture() for _ in WALLS]

    def _texture(self) -> FloatArray:
        """Noise of several scales, 2 cm a texel near, repeated every 20 m."""
        size, image = 1024, np.zeros((1024, 1024), np.float32)
        for cells, height in ((32, 30), (128, 30), (512, 25)):
            noise = self._rng.normal(0, height, (cells, cells)).astype(np.float32)
            image += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
        return np.clip(image + 120, 0, 255)

    def depth_m(self, room_from_camera: FloatArray) -> FloatArray:
        """Exact depth along the optical axis [H, W]."""
        return self._cut(room_from_camera)[0].reshape(HEIGHT, WIDTH)

    def pair(self, room_from_left: FloatArray, stamp_ns: int) -> tuple[Image, Image]:
        """Left and right image."""
        room_from_right = room_from_left.copy()
        room_from_right[:3, 3] += BASELINE_M * room_from_left[:3, 0]
        return self._image(room_from_left, stamp_ns), self._image(room_from_right, stamp_ns)

    def _cut(self, room_from_camera: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
        rays = np.stack(
            [(x - 159.5) / FOCAL_PX, (y - 99.5) / FOCAL_PX, np.ones_like(x)], axis=-1
        ).reshape(-1, 3) @ room_from_camera[:3, :3].T
        origin = room_from_camera[:3, 3]
        depths = []
        for normal, offset in WALLS:
            toward = rays @ np.array(normal)
            with np.errstate(divide='ignore'):
                depth = (offset - origin @ np.array(normal)) / toward
            depths.append(np.where((toward > 1e-9) & (depth > 0), depth, np.inf))
        stack = np.stack(depths)
        wall = stack.argmin(axis=0)
        depth = stack.min(axis=0)
        return depth, origin + rays * depth[:, None], wall

    def _image(self, room_from_camera: FloatArray, stamp_ns: int) -> Image:
        _, points, wall = self._cut(room_from_camera)
        grey = np.zeros(len(points), np.float32)
        for number, (normal, _) in enumerate(WALLS):
            on = np.flatnonzero(wall == number)
            across = [axis for axis in range(3) if not normal[axis]]
            uv = (points[on][:, across] * 50.0 % 1024).astype(np.float32)
            grey[on] = sample_bilinear(np.pad(self._textures[number], (0, 1), 'wrap'), uv)
        noisy = grey.reshape(HEIGHT, WIDTH) + self._rng.normal(0, 1.5, (HEIGHT, WIDTH))
        return Image(np.clip(noisy, 0, 255).astype(np.uint8), stamp_ns, 'left')


@pytest.fixture
def make_room() -> Callable[[int], TexturedRoom]:
    """Build a room from a seed."""
    return TexturedRoom
