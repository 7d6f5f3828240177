# SPDX-License-Identifier: Apache-2.0
"""A seeded street: what stands on it, what drives on it, how light falls on it."""

import copy
from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain, leaf_clump, textured
from perception_nodes.simulation.scene.assembly import Assembly
from perception_nodes.simulation.scene.ground import SideStreet, draw_ground_style
from perception_nodes.simulation.scene.ground_quads import add_ground
from perception_nodes.simulation.scene.layout import (
    enliven,
    furnish,
    line_with_houses,
    populate,
)
from perception_nodes.simulation.scene.light import WEATHERS, draw_light
from perception_nodes.simulation.scene.quads import GROUND, Quad
from perception_nodes.simulation.scene.sky import Sky
from perception_nodes.simulation.scene.street_path import closed_block, winding
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['CLASSES', 'PALETTE', 'SideStreet', 'StreetWorld', 'WorldConfig']

CLASSES = (
    'Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car',
    'Pedestrian', 'Bicyclist',
)  # fmt: skip
PALETTE = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
"""Colours of the classes as CamVid images them."""


@dataclass(frozen=True)
class WorldConfig:
    """What kind of street.

    Attributes
    ----------
    length_m : of an open street. closed : go around a block instead (place recognition).
    weather : one of light.WEATHERS, None draws it.
    traffic : vehicles, people and bicycles, 1 = usual, 0 = a deserted street.
    trees : 1 = usual. right_hand : side of the road on which one drives; None draws it.
    """

    length_m: float = 180.0
    closed: bool = False
    weather: str | None = None
    traffic: float = 1.0
    trees: float = 1.0
    right_hand: bool | None = None

    def __post_init__(self) -> None:
        if not 20 <= self.length_m <= 5000:
            raise PerceptionError(f'a street of {self.length_m} m: give 20 to 5000')
        if self.weather is not None and self.weather not in WEATHERS:
            raise PerceptionError(f"no weather '{self.weather}': {', '.join(WEATHERS)}")
        if self.traffic < 0 or self.trees < 0:
            raise PerceptionError('traffic and trees are densities, >= 0')


class StreetWorld:
    """A street as quads; a function of seed and config alone.

    Attributes
    ----------
    path : the centre line; coordinates in the world are metres, z up.
    quads : everything to draw; motions : poses over time of the parts that move.
    lane_m : where the vehicle drives, to the left of the centre line.
    style : widths of the ground; light, sky : the day.
    """

    def __init__(self, seed: int, config: WorldConfig | None = None) -> None:
        config = config or WorldConfig()
        rng = np.random.default_rng([seed, 101])
        self.seed, self.config = seed, config
        self.path = closed_block() if config.closed else winding(rng, config.length_m)
        self.light = draw_light(rng, config.weather)
        self.sky = Sky(rng, self.light)
        self.style = draw_ground_style(rng, self.path.length_m, side_streets=not config.closed)
        right_hand = rng.random() < 0.5 if config.right_hand is None else config.right_hand
        self.drive_side = -1.0 if right_hand else 1.0
        self.lane_m = self.drive_side * self.style.lane_m / 2
        world = Assembly(self.light)
        fronts = line_with_houses(rng, world, self.path, self.style)
        furnish(rng, world, self.path, self.style, self.drive_side, config.trees)
        populate(rng, world, self.path, self.style, self.drive_side, config.traffic)
        enliven(np.random.default_rng([seed, 103]), world, self.path, self.style,
                self.drive_side, config.traffic, fronts)
        _add_backdrop(rng, world, self.path.street_coordinates, self._middle_and_reach())
        add_ground(seed, world, self.path, self.style)
        self.motions = world.motions
        self._hold(world.quads)

    def without(self, instances: Collection[int]) -> 'StreetWorld':
        """Return the same street on the same day with some objects away."""
        fewer = copy.copy(self)
        fewer._hold([quad for quad in self.quads if quad.instance not in instances])
        return fewer

    def _hold(self, quads: list[Quad]) -> None:
        self.quads = quads
        self._still = np.array([quad.part < 0 for quad in quads])
        self._corners = np.stack([quad.corners for quad in quads])

    def _middle_and_reach(self) -> tuple[FloatArray, float]:
        places = np.array([self.path.at(s)[:2] for s in np.arange(0, self.path.length_m, 5.0)])
        middle = (places.min(0) + places.max(0)) / 2
        return middle, float(np.linalg.norm(places - middle, axis=1).max())

    def corners_at(self, time_s: float) -> FloatArray:
        """Corners of all quads in the world at a time, float64 [N, 4, 3]."""
        corners = self._corners.copy()
        poses = [motion.world_from_part(time_s) for motion in self.motions]
        for index in np.nonzero(~self._still)[0]:
            pose = poses[self.quads[index].part]
            corners[index] = corners[index] @ pose[:3, :3].T + pose[:3, 3]
        return corners

    def clear_of_traffic(self, xy_m: FloatArray, time_s: float, distance_m: float = 5.0) -> bool:
        """Whether nothing that moves or is parked is that near to a place on the ground."""
        corners = self.corners_at(time_s)
        kinds = np.array([q.order != GROUND and q.label in (8, 9, 10) for q in self.quads])
        middles = corners[kinds].mean(1)[:, :2]
        return not len(middles) or bool(
            np.linalg.norm(middles - xy_m, axis=1).min() > distance_m
        )


def _add_backdrop(
    rng: np.random.Generator, world: Assembly, street_coordinates: object,
    middle_and_reach: tuple[FloatArray, float],
) -> None:
    """Stand rows of far trees and houses around the world."""
    middle, reach = middle_and_reach
    for label, extra, low, high in ((1, 110.0, 9.0, 18.0), (5, 80.0, 5.0, 11.0)):
        count, radius = 20, reach + extra
        for index in range(count):
            if label == 5 and rng.random() < 0.25:
                continue
            angles = 2 * np.pi * np.array([index, index + 1.02]) / count
            ends = middle + radius * np.stack([np.cos(angles), np.sin(angles)], -1)
            height = float(rng.uniform(low, high))
            image = _tree_line(rng) if label == 5 else _roof_line(rng)
            across = np.array([*(ends[1] - ends[0]), 0.0])
            world.add(np.eye(4), np.array([*ends[0], height]), across,
                      np.array([0, 0, -height - 1]), image, label, world.instance(),
                      normal=np.array([0, 0, 0.6]))


def _tree_line(rng: np.random.Generator) -> Array:
    width, height = 512, 128
    green = np.array([rng.uniform(60, 100), rng.uniform(75, 105), rng.uniform(45, 65)])
    tone = 0.2 * grain(rng, height, width, 'natural') + 0.25 * grain(rng, height, width, 'rough')
    top = 40 + 22 * grain(rng, 1, width, 'natural')
    alpha = (np.arange(height)[:, None] > top) * np.uint8(255)
    for _ in range(14):
        size = int(rng.integers(50, 100))
        clump = cv2.resize(leaf_clump(int(rng.integers(0, 8)), 0.35)[1], (size, size))
        x, y = int(rng.integers(0, width - size)), int(rng.integers(0, 60))
        part = alpha[y : y + size, x : x + size]
        np.maximum(part, clump[: part.shape[0]], out=part)
    return np.dstack([textured(green, tone), alpha])


def _roof_line(rng: np.random.Generator) -> Array:
    width, height = 512, 128
    image = np.zeros((height, width, 4), np.uint8)
    x = 0
    while x < width:
        wide = int(rng.integers(30, 90))
        top = int(rng.integers(5, 80))
        shade = rng.uniform(90, 180) * np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.75, 1)])
        house = image[top:, x : x + wide]
        house[..., :3], house[..., 3] = shade, 255
        house[6::14, 4::10, :3] = house[7::14, 4::10, :3] = shade * 0.5
        if rng.random() < 0.5:
            ridge = max(0, top - wide // 4)
            outline = np.array([[x, top], [x + wide, top], [x + wide // 2, ridge]])
            cv2.fillPoly(image, [outline], (*(shade * 0.7).tolist(), 255))
        x += wide
    return image
