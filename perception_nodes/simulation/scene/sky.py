# SPDX-License-Identifier: Apache-2.0
"""The sky, an image at infinite distance: colour by height, clouds on a flat ceiling."""

import cv2
import numpy as np

from perception_nodes.simulation.content.materials import grain
from perception_nodes.simulation.scene.light import Light
from perception_nodes.types import Array, FloatArray

__all__ = ['Sky']

_COARSE = 4
_CEILING_PX = 180.0


class Sky:
    """A sky that can be seen in every direction; drawn once a world.

    Parameters
    ----------
    rng : draws the clouds. light : its colours.
    """

    def __init__(self, rng: np.random.Generator, light: Light) -> None:
        self.light = light
        noise = grain(rng, 1024, 1024, 'natural')
        noise = (noise - noise.mean()) / noise.std()
        share = ((noise + 2.4 * light.cloudiness - 1.4) * 0.9).clip(0, 1)
        # A tile that can be repeated: blend with itself, shifted by half.
        ramp = np.abs(np.linspace(-1, 1, 1024, dtype=np.float32))
        for axis in (0, 1):
            weight = (ramp**4)[:, None] if axis == 0 else (ramp**4)[None, :]
            share = share * (1 - weight) + np.roll(share, 512, axis) * weight
        self.clouds = share.astype(np.float32)

    def seen(
        self, camera_from_world: FloatArray, k: FloatArray, height: int, width: int
    ) -> Array:
        """Image of the sky, uint8 [height, width, 3]."""
        x = (np.arange(-1, width // _COARSE + 2) + 0.5) * _COARSE - 0.5
        y = (np.arange(-1, height // _COARSE + 2) + 0.5) * _COARSE - 0.5
        grid = np.stack(np.meshgrid((x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1]), -1)
        ray = np.concatenate([grid, np.ones((*grid.shape[:2], 1))], -1) @ camera_from_world[:3, :3]
        ray = (ray / np.linalg.norm(ray, axis=-1, keepdims=True)).astype(np.float32)
        up = np.maximum(ray[..., 2], 1e-3)
        lift = np.sqrt(up.clip(0, 1))[..., None]
        light = self.light
        clear = light.horizon * (1 - lift) + light.zenith * lift
        toward = np.maximum(ray @ light.to_sun.astype(np.float32), 0)[..., None]
        clear = clear + (toward**6 * 60 + toward**80 * 120) * np.minimum(light.sun, 1.0)
        at = ray[..., :2] / np.maximum(up, 0.04)[..., None] * _CEILING_PX
        share = cv2.remap(
            self.clouds, at.astype(np.float32), None, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        share = (share * np.minimum(up * 6, 1))[..., None]
        coarse = (clear * (1 - share) + light.cloud * share).clip(0, 255).astype(np.float32)
        grow = np.array([[_COARSE, 0, -_COARSE / 2 - 0.5], [0, _COARSE, -_COARSE / 2 - 0.5]])
        grown = cv2.warpAffine(coarse, grow, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.rint(grown).astype(np.uint8)
