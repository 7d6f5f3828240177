# SPDX-License-Identifier: Apache-2.0
"""Where things are along a street."""

import numpy as np

from perception_nodes.simulation.scene import kerbside, objects
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.simulation.scene.ground import GroundStyle
from perception_nodes.simulation.scene.street_path import StreetPath
from perception_nodes.types import FloatArray

__all__ = ['enliven', 'furnish', 'line_with_houses', 'populate']

_BEYOND_M = 45.0


def _extent(path: StreetPath) -> tuple[float, float]:
    return (0.0, path.length_m) if path.closed else (-_BEYOND_M, path.length_m + _BEYOND_M)


def _beside(
    path: StreetPath, along_m: float, side: float, aside_m: float, width_m: float
) -> FloatArray:
    """Pose beside the street: x to the right for who faces it from the street, y away from it.

    Its origin is the left end of a stretch of width_m whose middle is at along_m.
    """
    turn = 0.0 if side > 0 else np.pi
    pose = path.world_from_street(along_m, side * aside_m, turn)
    pose[:3, 3] -= pose[:3, 0] * width_m / 2
    return pose


def _free_of_street(
    path: StreetPath, pose: FloatArray, width_m: float, depth_m: float, least_m: float
) -> bool:
    """Whether a block stays off every part of the street."""
    x, y = np.meshgrid(np.linspace(0, width_m, 4), np.linspace(0, depth_m, 4))
    local = np.stack([x.ravel(), y.ravel()], -1)
    aside = path.street_coordinates(local @ pose[:2, :2].T + pose[:2, 3])[:, 1]
    return bool(np.abs(aside).min() > least_m)


def _in_side_street(style: GroundStyle, along_m: float, side: float, margin_m: float) -> bool:
    return any(
        s.side == side and abs(along_m - s.along_m) < s.half_width_m + margin_m
        for s in style.sides
    )


def line_with_houses(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle
) -> list[tuple[FloatArray, float]]:
    """Put houses on both sides, gardens before some of them, and what closes gardens and gaps.

    Returns
    -------
    Pose and width, metres, of the fronts of the houses: x along the front, y into the house.
    """
    kerb, fronts = style.road_half_m + style.pavement_m, []
    for side in (1.0, -1.0):
        along, end = _extent(path)
        front = float(rng.choice([0.0, 0.0, 0.6, 3.0, 6.0]))
        tall = float(rng.uniform(6, 16))
        gap_share = rng.uniform(0.05, 0.65)
        while along < end:
            width, depth = float(rng.uniform(5, 17)), float(rng.uniform(8, 12))
            middle = along + width / 2
            if _in_side_street(style, middle, side, width / 2 + 0.5):
                along += 2.0
                continue
            pose = _beside(path, middle, side, kerb + front + 0.1, width)
            gap = rng.random() < gap_share
            if not gap and _free_of_street(path, pose, width, depth, kerb - 0.2):
                height = float(np.clip(tall * np.exp(rng.normal(0, 0.25)), 3.5, 24))
                objects.add_house(rng, world, pose, width, depth, height)
                fronts.append((pose, width))
            if front > 1.0 or gap:
                _close_off(rng, world, path, style, middle, side, width)
            if (gap and rng.random() < 0.8) or (front > 2 and rng.random() < 0.4):
                _grove(rng, world, path, middle, side, kerb + front, kerb, width)
            along += width + (0.0 if rng.random() < 0.7 else float(rng.uniform(0.5, 5)))
            if rng.random() < 0.12:
                front = float(rng.choice([0.0, 0.6, 3.0, 6.0]))
                tall = float(rng.uniform(5, 18))
    return fronts


def _close_off(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    middle_m: float, side: float, width_m: float,
) -> None:
    """Fence, hedge or wall at the back of the pavement."""
    pose = _beside(path, middle_m, side, style.road_half_m + style.pavement_m + 0.25, width_m)
    pose[2, 3] = style.kerb_m
    kind = rng.random()
    if kind < 0.42:
        kerbside.add_fence(rng, world, pose, width_m)
    elif kind < 0.65:
        objects.add_hedge(rng, world, pose, width_m, float(rng.uniform(0.8, 2.2)))
    elif kind < 0.9:
        objects.add_wall(rng, world, pose, width_m)


def _grove(
    rng: np.random.Generator, world: Assembly, path: StreetPath, middle_m: float, side: float,
    aside_m: float, least_m: float, width_m: float,
) -> None:
    """Trees where there is no house."""
    bare = rng.random() < 0.35
    for _ in range(int(rng.integers(1, 6))):
        pose = _beside(path, middle_m + rng.uniform(-0.5, 0.5) * width_m, side,
                       aside_m + float(rng.uniform(1.5, 10)), 0.0)
        if _free_of_street(path, pose, 0.1, 0.1, least_m + 0.5):
            objects.add_tree(rng, world, pose, float(rng.uniform(4, 11)), bare)


def furnish(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    drive_side: float, trees: float,
) -> None:
    """Put lamps, signs, signals, bollards, railings and street trees at the kerb."""
    start, end = _extent(path)
    kerb = style.road_half_m + 0.45

    def at_kerb(along: float, side: float, more: float = 0.0, turn: float = 0.0) -> FloatArray:
        pose = path.world_from_street(along, side * (kerb + more), turn)
        pose[2, 3] = style.kerb_m
        return pose

    spacing, first = rng.uniform(18, 34), float(rng.choice([-1, 1]))
    for index, along in enumerate(np.arange(start, end, spacing)):
        side = first if index % 2 else -first
        if not _in_side_street(style, along, side, 0.5):
            kerbside.add_lamp(rng, world, at_kerb(along, side), -side * rng.uniform(0.5, 2.0))
    for along in rng.uniform(start, end, int(rng.poisson((end - start) / 10))):
        side = float(rng.choice([-1, 1]))
        turn = 0.0 if side == drive_side else np.pi
        if not _in_side_street(style, along, side, 0.5):
            kerbside.add_sign(rng, world, at_kerb(along, side, turn=turn))
    for along in (*style.crossings_m, *(s.along_m - 6 for s in style.sides)):
        for side in (-1.0, 1.0):
            if rng.random() < 0.7 and not _in_side_street(style, along - 1, side, 0.5):
                turn = 0.0 if side == drive_side else np.pi
                kerbside.add_signal(rng, world, at_kerb(along - 1, side, turn=turn))
    for along in rng.uniform(start, end, int(rng.poisson((end - start) / 60))):
        side, count = float(rng.choice([-1, 1])), int(rng.integers(3, 8))
        if rng.random() < 0.5:
            pose = _beside(path, along, side, kerb - 0.15, 6.0)
            pose[2, 3] = style.kerb_m
            if not _in_side_street(style, along, side, 4.0):
                kerbside.add_fence(rng, world, pose, 6.0)
            continue
        shade = np.full(3, rng.uniform(20, 200))
        for step in range(count):
            if not _in_side_street(style, along + 1.6 * step, side, 0.3):
                kerbside.add_bollard(rng, world, at_kerb(along + 1.6 * step, side, -0.1), shade)
    if rng.random() < 0.75 * trees:
        bare, spacing = rng.random() < 0.35, rng.uniform(7, 18)
        for along in np.arange(start, end, spacing) + rng.uniform(0, spacing):
            side = float(rng.choice([-1, 1]))
            if not _in_side_street(style, along, side, 1.0):
                pose = at_kerb(along, side, min(style.pavement_m * 0.3, 0.8))
                objects.add_tree(rng, world, pose, float(rng.uniform(4, 9)), bare)


def enliven(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    drive_side: float, traffic: float, fronts: list[tuple[FloatArray, float]],
) -> None:
    """Add what the middle of a town has more of: boards on fronts, guard rails, bicycles."""
    start, end = _extent(path)
    town = float(rng.uniform(0.1, 1.0))
    for front, width in fronts:
        for at in rng.uniform(0.3, width - 0.3, int(rng.poisson(0.6 * town))):
            pose = front.copy()
            pose[:3, 3] += at * pose[:3, 0]
            kerbside.add_board(rng, world, pose, float(rng.uniform(2.4, 4.5)))
    places = (*style.crossings_m, *(s.along_m for s in style.sides), *rng.uniform(start, end, 3))
    for along in places:
        for side in (-1.0, 1.0):
            if rng.random() < 0.5 * town:
                _rail(rng, world, path, style, along + float(rng.uniform(-14, 4)), side)
    _add_cyclists(rng, world, path, style, drive_side, int(rng.poisson(town * traffic * 3)))


def _rail(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    along_m: float, side: float,
) -> None:
    """Guard rails along the kerb, in pieces of one make that follow its bends."""
    make = int(rng.integers(1 << 31))
    for piece in range(int(rng.integers(2, 6))):
        middle = along_m + 2.0 * piece
        if not _in_side_street(style, middle, side, 1.5):
            pose = _beside(path, middle, side, style.road_half_m + 0.3, 2.0)
            pose[2, 3] = style.kerb_m
            kerbside.add_railing(np.random.default_rng(make), world, pose, 2.0)


def populate(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    drive_side: float, traffic: float,
) -> None:
    """Put parked and moving vehicles, people and bicycles on the street."""
    start, end = _extent(path)
    strip = style.road_half_m - style.lane_m
    for side in (1.0, -1.0):
        share = traffic * rng.uniform(0.1, 0.75)
        aside = side * (style.lane_m + strip / 2 if strip > 1.5 else style.road_half_m + 0.05)
        share = share if strip > 1.5 else share * 0.35
        for along in np.arange(start, end, 6.0) + rng.uniform(0, 3):
            if rng.random() < share and not _in_side_street(style, along, side, 3.5):
                turn = 0.0 if (side == drive_side) == (rng.random() < 0.9) else np.pi
                objects.add_vehicle(rng, world, path, along + rng.normal(0, 0.4),
                                    aside + rng.normal(0, 0.08), turn + rng.normal(0, 0.02))
    speed = float(rng.uniform(6, 12))
    for along in rng.uniform(start + 35, end, int(rng.poisson(traffic * (end - start) / 60))):
        objects.add_vehicle(rng, world, path, along, -drive_side * style.lane_m / 2, np.pi,
                            -speed * rng.uniform(0.8, 1.2))
    for along in start + _BEYOND_M + np.cumsum(rng.uniform(14, 50, 5)):
        if rng.random() < 0.6 * traffic:
            objects.add_vehicle(rng, world, path, along, drive_side * style.lane_m / 2, 0.0,
                                9.0 + 0.02 * float(along))
    _add_people(rng, world, path, style, traffic)
    count = int(rng.poisson(traffic * (end - start) / 70))
    _add_cyclists(rng, world, path, style, drive_side, count)


def _add_cyclists(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    drive_side: float, count: int,
) -> None:
    start, end = _extent(path)
    for along in rng.uniform(start + 12, end, count):
        side = float(rng.choice([-1, 1]))
        heading = 0.0 if side == drive_side else np.pi
        objects.add_cyclist(rng, world, path, along, side * (style.lane_m - 0.4), heading,
                            float(rng.uniform(3, 6)) * (1 if heading == 0 else -1))


def _add_people(
    rng: np.random.Generator, world: Assembly, path: StreetPath, style: GroundStyle,
    traffic: float,
) -> None:
    start, end = _extent(path)
    for along in rng.uniform(start, end, int(rng.poisson(traffic * (end - start) / 11))):
        side = float(rng.choice([-1, 1]))
        aside = side * (style.road_half_m + rng.uniform(0.5, style.pavement_m - 0.2))
        if rng.random() < 0.1:
            turn, aside, ground = -side * np.pi / 2, side * rng.uniform(0, style.road_half_m), 0.0
        else:
            turn, ground = float(rng.choice([0.0, np.pi])), style.kerb_m
        speed = 0.0 if rng.random() < 0.2 and ground else float(rng.uniform(0.8, 1.8))
        objects.add_pedestrian(rng, world, path, along, aside, ground, turn, speed)
        if rng.random() < 0.25:
            beside = aside + 0.55
            objects.add_pedestrian(rng, world, path, along + 0.3, beside, ground, turn, speed)
