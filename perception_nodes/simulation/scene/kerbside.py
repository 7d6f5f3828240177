# SPDX-License-Identifier: Apache-2.0
"""Puts fences, guard rails, posts, lamps, signs, signals and boards into a world."""

import numpy as np

from perception_nodes.simulation.content import furniture
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.simulation.scene.blocks import FENCE, POLE, SIGN, X, Y, Z, upright
from perception_nodes.simulation.scene.quads import Surface
from perception_nodes.types import Array, FloatArray

__all__ = ['add_board', 'add_bollard', 'add_fence', 'add_lamp', 'add_railing', 'add_sign',
           'add_signal']  # fmt: skip


def add_fence(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, length_m: float
) -> None:
    """Add a fence along x of the pose."""
    height = float(rng.uniform(0.9, 1.7))
    image = furniture.fence_image(rng, length_m, height)
    _along(world, pose, length_m, height, image)


def add_railing(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, length_m: float
) -> None:
    """Add the guard rail that keeps people off a road, along x of the pose."""
    height = float(rng.uniform(0.95, 1.15))
    image = furniture.railing_image(rng, length_m, height)
    _along(world, pose, length_m, height, image)


def _along(
    world: Assembly, pose: FloatArray, length_m: float, height_m: float, image: Array
) -> None:
    world.add(pose, height_m * Z, length_m * X, -height_m * Z, image, FENCE, world.instance(),
              normal=-Y)


def _post(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, thick_m: float, height_m: float,
    shade: FloatArray, instance: int,
) -> None:
    image = furniture.pole_image(rng, shade)
    for turn in (0.0, np.pi / 2):
        upright(world, pose, thick_m, 0.0, height_m, turn, image, POLE, instance)
    foot = thick_m / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    world.cast_shadow(pose, foot, height_m)


def add_bollard(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, shade: FloatArray
) -> None:
    """Add a short post."""
    _post(rng, world, pose, 0.14, 0.95, shade, world.instance())


def add_lamp(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, reach_m: float
) -> None:
    """Add a street lamp whose arm reaches along y of the pose."""
    instance, height = world.instance(), float(rng.uniform(5, 9))
    shade = np.full(3, rng.uniform(35, 160))
    _post(rng, world, pose, float(rng.uniform(0.1, 0.2)), height, shade, instance)
    arm = furniture.pole_image(rng, shade).transpose(1, 0, 2).copy()
    world.add(pose, height * Z, reach_m * Y, -0.1 * Z, arm, POLE, instance, normal=-X)
    world.add(pose, height * Z + reach_m * Y, 0.7 * np.sign(reach_m) * Y, -0.16 * Z,
              arm, POLE, instance, normal=-X)


def add_sign(rng: np.random.Generator, world: Assembly, pose: FloatArray) -> None:
    """Add one or two traffic signs on a post, to be read by who drives along x of the pose."""
    instance = world.instance()
    height = float(rng.uniform(2.1, 3.0))
    _post(rng, world, pose, 0.08, height, np.full(3, rng.uniform(60, 160)), instance)
    top = height
    for _ in range(int(rng.integers(1, 3))):
        size = float(rng.uniform(0.5, 0.85))
        sign = furniture.sign_image(rng)
        front = np.array([-0.05, size / 2, top])
        world.add(pose, front, -size * Y, -size * Z, sign, SIGN, instance, normal=-X)
        world.add(pose, front + np.array([0.02, -size, 0]), size * Y, -size * Z,
                  furniture.sign_back(sign), SIGN, instance, normal=X)
        top -= size + 0.05


def add_signal(rng: np.random.Generator, world: Assembly, pose: FloatArray) -> None:
    """Add a traffic light for who drives along x of the pose."""
    instance, height = world.instance(), float(rng.uniform(2.9, 3.6))
    _post(rng, world, pose, 0.12, height - 0.4, np.full(3, rng.uniform(25, 90)), instance)
    head = Surface(furniture.signal_image(rng))
    dark = np.full((24, 10, 4), (26, 28, 28, 255), np.uint8)
    wide, tall = 0.34, 0.9
    world.add(pose, np.array([-0.15, wide / 2, height]), -wide * Y, -tall * Z, head, SIGN,
              instance)
    for y in (-wide / 2, wide / 2):
        world.add(pose, np.array([-0.15, y, height]), 0.25 * X, -tall * Z, dark, SIGN, instance,
                  normal=np.sign(y) * Y)
    world.add(pose, np.array([0.1, -wide / 2, height]), wide * Y, -tall * Z, dark, SIGN,
              instance, normal=X)


def add_board(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, low_m: float
) -> None:
    """Add a board that sticks out of a front towards -y of the pose, as shops and pubs have."""
    instance = world.instance()
    wide, tall = float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.5, 1.6))
    out = float(rng.uniform(0.1, 0.3))
    origin = (low_m + tall) * Z - (out + wide) * Y
    for start, across, normal in (
        (origin, wide * Y, X), (origin + wide * Y - 0.08 * X, -wide * Y, -X)
    ):
        image = furniture.board_image(rng, wide, tall)
        world.add(pose, start, across, -tall * Z, image, SIGN, instance, normal=normal)
