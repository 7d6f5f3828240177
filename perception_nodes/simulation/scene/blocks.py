# SPDX-License-Identifier: Apache-2.0
"""What objects are put together from: quads about a pose, and the axes and classes they use."""

import numpy as np

from perception_nodes.simulation.content.materials import opaque
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.types import Array, FloatArray

__all__ = ['BICYCLIST', 'BUILDING', 'CAR', 'FENCE', 'PEDESTRIAN', 'POLE', 'SIGN', 'TREE', 'X', 'Y',
           'Z', 'box', 'upright']  # fmt: skip

BUILDING, POLE, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = 1, 2, 5, 6, 7, 8, 9, 10
X, Y, Z = np.eye(3)


def box(
    world: Assembly, pose: FloatArray, low: FloatArray, high: FloatArray, images: list[Array],
    label: int, instance: int,
) -> None:
    """Add the four upright faces of a block; images of front (-y), back, left (-x) and right."""
    size = high - low
    wide, deep, tall = size[0] * X, size[1] * Y, -size[2] * Z
    top = low + size[2] * Z
    faces = ((top, wide, -Y), (top + wide + deep, -wide, Y),
             (top + deep, -deep, -X), (top + wide, deep, X))
    for (origin, across, normal), image in zip(faces, images, strict=True):
        world.add(pose, origin, across, tall, opaque(image), label, instance, normal=normal)


def upright(
    world: Assembly, pose: FloatArray, width_m: float, low_m: float, height_m: float,
    turn_rad: float, image: Array, label: int, instance: int,
) -> None:
    """Add an upright quad through the pose's vertical axis."""
    across = width_m * np.array([np.cos(turn_rad), np.sin(turn_rad), 0])
    origin = -across / 2 + (low_m + height_m) * Z
    world.add(pose, origin, across, -height_m * Z, image, label, instance, normal=0.55 * Z)
