# SPDX-License-Identifier: Apache-2.0
"""Puts things into a world: houses, vehicles, people, trees, hedges."""

import numpy as np

from perception_nodes.simulation.content import facades, people, vehicles
from perception_nodes.simulation.content.materials import (
    branches,
    grain,
    leaf_clump,
    opaque,
    textured,
)
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.simulation.scene.blocks import (
    BICYCLIST,
    BUILDING,
    CAR,
    PEDESTRIAN,
    TREE,
    X,
    Y,
    Z,
    box,
    upright,
)
from perception_nodes.simulation.scene.quads import Motion
from perception_nodes.simulation.scene.street_path import StreetPath
from perception_nodes.types import Array, FloatArray

__all__ = ['add_cyclist', 'add_hedge', 'add_house', 'add_pedestrian', 'add_tree', 'add_vehicle',
           'add_wall']  # fmt: skip


def add_house(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, width_m: float, depth_m: float,
    height_m: float,
) -> None:
    """Add a house whose front looks along -y of the pose; origin at the left end of the front."""
    style, instance = facades.draw_house_style(rng), world.instance()
    front = facades.front_image(rng, style, width_m, height_m)
    gable = facades.plain_image(rng, style, depth_m, height_m)
    if rng.random() < 0.35:
        gable = facades.front_image(rng, style, depth_m, height_m)
    box(world, pose, np.zeros(3), np.array([width_m, depth_m, height_m]),
         [front, front, gable, gable], BUILDING, instance)
    footprint = np.array([[0, 0], [width_m, 0], [width_m, depth_m], [0, depth_m]])
    world.cast_shadow(pose, footprint, height_m)
    if rng.random() < 0.6:
        _add_roof(rng, world, pose, style, (width_m, depth_m, height_m), instance)
    if rng.random() < 0.5:
        x, y = rng.uniform(0.5, width_m - 1), depth_m * rng.uniform(0.3, 0.6)
        low = np.array([x, y, height_m])
        stack = facades.plain_image(rng, style, 0.8, 3.2)
        high = low + np.array([0.8, 0.8, 3.2])
        box(world, pose, low, high, [stack] * 4, BUILDING, instance)


def _add_roof(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, style: facades.HouseStyle,
    size: tuple[float, float, float], instance: int,
) -> None:
    """Add two slopes whose ridge runs along the street, and the gables' triangles."""
    wide, deep, tall = size
    rise = deep / 2 * rng.uniform(0.45, 0.95)
    slope = facades.roof_image(rng, style, wide, float(np.hypot(deep / 2, rise)))
    eaves = 0.35 * np.array([0, deep / 2, rise]) / np.hypot(deep / 2, rise)
    ridge = np.array([0, deep / 2, tall + rise])
    for sign in (-1, 1):
        down = np.array([0, sign * (deep / 2 + eaves[1]), -rise - eaves[2]])
        normal = np.array([0, sign * rise, deep / 2]) / np.hypot(deep / 2, rise)
        world.add(pose, ridge, wide * X, down, opaque(slope), BUILDING, instance, normal=normal)
    wall = facades.plain_image(rng, style, deep, rise)
    height, width = wall.shape[:2]
    x = np.abs(np.linspace(-1, 1, width))[None, :]
    inside = (np.linspace(0, 1, height)[:, None] >= x) * np.uint8(255)
    gable = np.dstack([wall, inside])
    for at, normal in ((0.0, -X), (wide, X)):
        world.add(pose, np.array([at, 0, tall + rise]), deep * Y, -rise * Z, gable, BUILDING,
                  instance, normal=normal)


def add_vehicle(
    rng: np.random.Generator, world: Assembly, path: StreetPath, along_m: float, aside_m: float,
    turn_rad: float = 0.0, speed_mps: float = 0.0, kind: str | None = None,
) -> None:
    """Add a vehicle, parked (speed 0) or driving along the street."""
    vehicle, instance = vehicles.draw_vehicle(rng, kind), world.instance()
    pose = path.world_from_street(along_m, aside_m, turn_rad)
    part = -1
    if speed_mps:
        part = world.motion(Motion(path, along_m, aside_m, speed_mps, turn_rad=turn_rad))
    for origin, across, down, rgba, normal in vehicle.faces:
        world.add(pose, origin, across, down, rgba, CAR, instance, part=part, normal=normal)
    world.soft_shadow(pose, vehicle.length_m, vehicle.width_m, part, instance)


def add_pedestrian(
    rng: np.random.Generator, world: Assembly, path: StreetPath, along_m: float, aside_m: float,
    ground_m: float, turn_rad: float = 0.0, speed_mps: float = 0.0,
) -> None:
    """Add somebody who stands or walks in the direction of turn_rad (0 = along the street)."""
    instance, clothes = world.instance(), people.draw_clothes(rng)
    pose = path.world_from_street(along_m, aside_m, turn_rad)
    hip = 0.86 * rng.uniform(0.88, 1.08)
    scale = hip / 0.86
    moving = {
        'path': path, 'along_m': along_m, 'aside_m': aside_m, 'turn_rad': turn_rad,
        'speed_mps': speed_mps * float(np.cos(turn_rad)),
        'aside_mps': speed_mps * float(np.sin(turn_rad)),
    }
    part = world.motion(Motion(**moving)) if speed_mps else -1
    base = ground_m * Z
    for front in (True, False):
        image = people.torso(rng, clothes, front)
        wide = 0.7 * scale * (Y if front else X)
        origin = base - wide / 2 + (hip + scale) * Z
        world.add(pose, origin, wide, -scale * Z, image, PEDESTRIAN, instance, part=part,
                  normal=-0.6 * X if front else 0.6 * Y)
    phase = rng.uniform(0, 2 * np.pi)
    swing = 0.42 if speed_mps else 0.0
    for sign in (-1.0, 1.0):
        limb = part
        if speed_mps:
            limb = world.motion(Motion(
                **moving, hinge=(0.0, 0.0, ground_m + hip), swing_rad=swing * sign,
                swing_hz=0.9, phase_rad=phase,
            ))
        image = people.leg(rng, clothes)
        for wide in (0.3 * scale * X, -0.3 * scale * Y):
            origin = base + sign * 0.1 * Y - 0.46 * wide + (hip + 0.03) * Z
            world.add(pose, origin, wide, -(hip + 0.03) * Z, image, PEDESTRIAN, instance,
                      part=limb, normal=0.6 * Y)
    world.soft_shadow(pose, 0.6, 0.6, part, instance)


def add_cyclist(
    rng: np.random.Generator, world: Assembly, path: StreetPath, along_m: float, aside_m: float,
    turn_rad: float, speed_mps: float,
) -> None:
    """Add a rider on a bicycle."""
    instance, clothes = world.instance(), people.draw_clothes(rng)
    pose = path.world_from_street(along_m, aside_m, turn_rad)
    part = world.motion(Motion(path, along_m, aside_m, speed_mps, turn_rad=turn_rad))
    for image, wide in ((people.cyclist_side(rng, clothes), 1.8 * X),
                          (people.cyclist_front(rng, clothes), 0.7 * Y)):
        world.add(pose, 1.85 * Z - wide / 2, wide, -1.85 * Z, image, BICYCLIST, instance,
                  part=part, normal=0.6 * Y)
    world.soft_shadow(pose, 1.7, 0.5, part, instance)


def add_tree(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, height_m: float, bare: bool
) -> None:
    """Add a tree at the pose's origin, in leaf or bare."""
    instance = world.instance()
    crown = height_m * rng.uniform(0.5, 0.75)
    bark = np.array([92, 80, 66]) * rng.uniform(0.5, 1.2)
    if bare:
        for index in range(3):
            image = _branch_image(rng, bark)
            upright(world, pose, height_m * 0.85, 0.0, height_m, index * np.pi / 3, image, TREE,
                     instance)
        return
    trunk = opaque(textured(bark, 0.22 * grain(rng, 96, 12, 'rough')))
    for index in range(2):
        upright(world, pose, 0.035 * height_m + 0.1, 0.0, height_m - 0.6 * crown,
                 index * np.pi / 2, trunk, TREE, instance)
    green = rng.uniform(60, 125) * np.array([rng.uniform(0.7, 1.05), 1.0, rng.uniform(0.3, 0.65)])
    if rng.random() < 0.2:
        green = np.array([rng.uniform(120, 175), rng.uniform(80, 115), rng.uniform(30, 50)])
    solid = float(rng.choice([0.2, 0.35, 0.5]))
    width = crown * rng.uniform(0.7, 1.1)
    for index in range(3):
        image = _leaf_image(rng, green, solid)
        upright(world, pose, width, height_m - crown, crown, rng.uniform(0, np.pi) + index,
                 image, TREE, instance)
    for _ in range(4):
        size = crown * rng.uniform(0.35, 0.6)
        at = rng.normal(0, 0.26, 3) * [width, width, crown]
        at[2] += height_m - crown / 2
        across, down = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0][:2] * size
        image = _leaf_image(rng, green * rng.uniform(0.75, 1.2), solid)
        world.add(pose, at - across / 2 - down / 2, across, down, image, TREE, instance,
                  normal=0.7 * Z)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    world.cast_shadow(pose, 0.3 * width * ring, height_m)


def add_hedge(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, length_m: float, height_m: float
) -> None:
    """Add a hedge along x of the pose."""
    instance = world.instance()
    height, width = round(height_m * 48), round(length_m * 48)
    green = rng.uniform(50, 100) * np.array([rng.uniform(0.65, 1.0), 1.0, rng.uniform(0.4, 0.65)])
    tone = 0.2 * grain(rng, height, width, 'natural') + 0.28 * grain(rng, height, width, 'rough')
    image = textured(green, tone)
    torn = np.arange(height)[:, None] > 5 + 4 * grain(rng, 1, width, 'rough')
    leaves = np.dstack([image, torn * np.uint8(255)])
    for y in (-0.35, 0.35):
        world.add(pose, np.array([0, y, height_m]), length_m * X, -height_m * Z, leaves, TREE,
                  instance, normal=np.sign(y) * Y)
    world.add(pose, np.array([0, -0.35, height_m - 0.12]), length_m * X, 0.7 * Y,
              opaque(image), TREE, instance, normal=Z)


def add_wall(
    rng: np.random.Generator, world: Assembly, pose: FloatArray, length_m: float
) -> None:
    """Add a low garden wall along x of the pose; CamVid counts it as building."""
    height = float(rng.uniform(0.6, 1.9))
    face = facades.plain_image(rng, facades.draw_house_style(rng), length_m, height)
    end = face[:, :10]
    box(world, pose, np.array([0, -0.12, 0]), np.array([length_m, 0.12, height]),
         [face, face, end, end], BUILDING, world.instance())


def _leaf_image(rng: np.random.Generator, green: FloatArray, solid: float) -> Array:
    tone, opacity = leaf_clump(int(rng.integers(0, 8)), solid)
    return np.dstack([textured(green, tone), opacity])


def _branch_image(rng: np.random.Generator, bark: FloatArray) -> Array:
    opacity = branches(int(rng.integers(0, 12)))
    tone = 0.2 * grain(rng, *opacity.shape, 'rough')
    return np.dstack([textured(bark, tone), opacity])
