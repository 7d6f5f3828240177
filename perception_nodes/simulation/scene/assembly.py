# SPDX-License-Identifier: Apache-2.0
"""Collects the quads of a world, lit by its day."""

import cv2
import numpy as np

from perception_nodes.simulation.scene.light import Light
from perception_nodes.simulation.scene.quads import DECAL, SOLID, Motion, Quad, Surface
from perception_nodes.types import Array, FloatArray

__all__ = ['Assembly', 'lit_image']


def lit_image(light: Light, rgba: Array, normal: FloatArray) -> Array:
    """Light an image uint8 [H, W, 4] by the normal of its surface in the world."""
    shade = light.shade(normal)
    channels = [cv2.convertScaleAbs(rgba[..., i], alpha=float(shade[i])) for i in range(3)]
    return cv2.merge([*channels, np.ascontiguousarray(rgba[..., 3])])


class Assembly:
    """Quads and motions under construction.

    Attributes
    ----------
    quads, motions : what has been built. shadows : float64 [N, 2] polygons on the ground where
    the sun does not reach, in the world, for the ground's images.
    """

    def __init__(self, light: Light) -> None:
        self.light = light
        self.quads: list[Quad] = []
        self.motions: list[Motion] = []
        self.shadows: list[FloatArray] = []
        self.instances = 0

    def instance(self) -> int:
        """Begin a new object."""
        self.instances += 1
        return self.instances

    def motion(self, motion: Motion) -> int:
        """Begin a part that moves; its index."""
        self.motions.append(motion)
        return len(self.motions) - 1

    def lit(self, rgba: Array, normal: FloatArray, pose: FloatArray | None = None) -> Surface:
        """Light an image by the normal of its surface (in the frame of the pose)."""
        return Surface(lit_image(
            self.light, rgba, normal if pose is None else pose[:3, :3] @ normal
        ))

    def add(
        self, pose: FloatArray, origin: FloatArray, across: FloatArray, down: FloatArray,
        rgba: Array | Surface, label: int, instance: int, *, part: int = -1,
        normal: FloatArray | None = None, order: int = SOLID, far_m: float = 1e9,
    ) -> None:
        """Add a quad given in a frame whose pose in the world is known.

        Parameters
        ----------
        pose : world_from_frame. A quad of a part that moves stays in the frame; the pose then
            only determines how the light falls on it.
        normal : of the surface in the frame, unit; None: the one that points up or out.
        """
        if normal is None:
            normal = np.cross(across, down)
            normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
        surface = rgba if isinstance(rgba, Surface) else self.lit(rgba, normal, pose)
        if part < 0:
            origin = pose[:3, :3] @ origin + pose[:3, 3]
            across, down = pose[:3, :3] @ across, pose[:3, :3] @ down
        self.quads.append(Quad(
            np.asarray(origin, float), np.asarray(across, float), np.asarray(down, float),
            surface, label, instance, part, order, far_m,
        ))

    def cast_shadow(self, pose: FloatArray, footprint_m: FloatArray, height_m: float) -> None:
        """Remember the shadow of an upright block on the ground.

        Parameters
        ----------
        footprint_m : float64 [N, 2] its outline in the frame of the pose.
        """
        if self.light.sun.max() < 0.05:
            return
        base = footprint_m @ pose[:2, :2].T + pose[:2, 3]
        reach = -self.light.to_sun[:2] / self.light.to_sun[2] * height_m
        reach *= min(1.0, 60.0 / max(float(np.linalg.norm(reach)), 1e-6))
        hull = cv2.convexHull(np.vstack([base, base + reach]).astype(np.float32))
        self.shadows.append(hull[:, 0].astype(np.float64))

    def soft_shadow(
        self, pose: FloatArray, length_m: float, width_m: float, part: int, instance: int
    ) -> None:
        """Darken the ground under a thing, and beside it where the sun throws its shadow."""
        opacity = np.zeros((32, 64), np.uint8)
        opacity[6:26, 8:56] = 170
        opacity = cv2.GaussianBlur(opacity, (0, 0), 3.5)
        image = Surface(np.dstack([np.full((32, 64, 3), 12, np.uint8), opacity]))
        aside = np.zeros(3)
        if self.light.sun.max() > 0.3:
            aside[:2] = pose[:2, :2].T @ (-self.light.to_sun[:2]) * 0.45
        long, wide = length_m * 1.3, width_m * 1.4
        self.add(pose, np.array([-long / 2, -wide / 2, 0.0]) + aside, np.array([long, 0, 0]),
                 np.array([0, wide, 0]), image, 255, instance, part=part, order=DECAL)
