# SPDX-License-Identifier: Apache-2.0
"""What the rendered world is made of: textured parallelograms, still or on parts that move."""

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from perception_nodes.simulation.scene.street_path import StreetPath
from perception_nodes.types import Array, FloatArray

__all__ = ['DECAL', 'GROUND', 'SOLID', 'Motion', 'Quad', 'Surface']

GROUND, DECAL, SOLID = 0, 1, 2
"""Draw order. The ground comes first; decals (shadows) only tint what lies in their plane."""


class Surface:
    """A texture with its smaller copies.

    Parameters
    ----------
    rgba : uint8 [H, W, 4]; the alpha channel is opacity, 255 solid. Its pixels fill the quad.
    labels : uint8 [H, W] class ids where one quad shows several classes, else None.
    """

    def __init__(self, rgba: Array, labels: Array | None = None) -> None:
        self.levels = [np.ascontiguousarray(rgba)]
        self.labels = labels
        self.opaque = bool(rgba[..., 3].min() == 255)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the full texture, pixels."""
        height, width = self.levels[0].shape[:2]
        return width, height

    def level(self, wanted: int) -> Array:
        """Return the texture halved so many times, or as often as it can be."""
        while len(self.levels) <= wanted and min(self.levels[-1].shape[:2]) >= 2:
            above = self.levels[-1]
            half = (max(1, above.shape[1] // 2), max(1, above.shape[0] // 2))
            self.levels.append(cv2.resize(above, half, interpolation=cv2.INTER_AREA))
        return self.levels[min(wanted, len(self.levels) - 1)]


@dataclass(frozen=True)
class Motion:
    """How a part moves: along the street, aside, and swinging about an axis of its own.

    Attributes
    ----------
    along_m, aside_m : street coordinates at time 0. speed_mps, aside_mps : their rates.
    turn_rad : heading against the street's.
    hinge : float64 [3] a point of the swing's axis (the part's y axis), in the part's frame.
    swing_rad, swing_hz, phase_rad : amplitude, rate and phase of the swing.
    """

    path: StreetPath
    along_m: float
    aside_m: float
    speed_mps: float = 0.0
    aside_mps: float = 0.0
    turn_rad: float = 0.0
    hinge: tuple[float, float, float] = (0.0, 0.0, 0.0)
    swing_rad: float = 0.0
    swing_hz: float = 1.0
    phase_rad: float = 0.0

    def world_from_part(self, time_s: float) -> FloatArray:
        """Pose of the part, float64 [4, 4]."""
        pose = self.path.world_from_street(
            self.along_m + self.speed_mps * time_s, self.aside_m + self.aside_mps * time_s,
            self.turn_rad,
        )
        if self.swing_rad == 0:
            return pose
        angle = self.swing_rad * np.sin(2 * np.pi * self.swing_hz * time_s + self.phase_rad)
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(4)
        turn[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
        hinge = np.asarray(self.hinge)
        turn[:3, 3] = hinge - turn[:3, :3] @ hinge
        return pose @ turn


@dataclass(frozen=True, eq=False)
class Quad:
    """A parallelogram with a texture.

    Attributes
    ----------
    origin : float64 [3], the texture's top left corner, in the frame of the part (world if still).
    across, down : float64 [3], edges along the texture's rows and columns.
    surface : the texture.
    label : class id; 255 unlabelled. instance : id of the object, > 0; 0 = the ground.
    part : index into the scene's motions, -1 = still.
    order : GROUND, DECAL or SOLID.
    """

    origin: FloatArray
    across: FloatArray
    down: FloatArray
    surface: Surface
    label: int
    instance: int
    part: int = -1
    order: int = SOLID
    far_m: float = field(default=1e9)

    @cached_property
    def corners(self) -> FloatArray:
        """Corners in a ring, float64 [4, 3]."""
        o, a, d = self.origin, self.across, self.down
        return np.stack([o, o + a, o + a + d, o + d])
