# SPDX-License-Identifier: Apache-2.0
"""Sun, sky light and air of a rendered day."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.types import FloatArray

__all__ = ['WEATHERS', 'Light', 'draw_light']

WEATHERS = ('sunny', 'fair', 'overcast', 'hazy', 'dusk')


@dataclass(frozen=True)
class Light:
    """What shines.

    Attributes
    ----------
    weather : one of WEATHERS.
    to_sun : float64 [3] unit vector in the world.
    sun, sky : float64 [3] RGB, light of the sun on a surface that faces it and of the whole sky.
    zenith, horizon, cloud : float64 [3] RGB 0..255, colours of the sky as pictured.
    cloudiness : 0..1.
    visibility_m : distance at which the air has swallowed 63 % of a thing's contrast.
    """

    weather: str
    to_sun: FloatArray
    sun: FloatArray
    sky: FloatArray
    zenith: FloatArray
    horizon: FloatArray
    cloud: FloatArray
    cloudiness: float
    visibility_m: float

    def shade(self, normal: FloatArray) -> FloatArray:
        """Light RGB on a surface with this unit normal, 1 = pictured as its own colour."""
        direct = max(float(normal @ self.to_sun), 0.0)
        return self.sky * (0.72 + 0.28 * float(normal[2])) + self.sun * direct

    def shadow(self, normal: FloatArray) -> FloatArray:
        """Share RGB of the light that is left when the sun is occluded."""
        return self.sky * (0.72 + 0.28 * float(normal[2])) / self.shade(normal)


def draw_light(rng: np.random.Generator, weather: str | None = None) -> Light:
    """Draw a day; weather None draws that too."""
    weather = weather or str(rng.choice(WEATHERS, p=(0.36, 0.2, 0.22, 0.1, 0.12)))
    strength = {'sunny': 1.0, 'fair': 0.55, 'overcast': 0.0, 'hazy': 0.2, 'dusk': 0.25}[weather]
    elevation = rng.uniform(0.3, 1.0) if weather != 'dusk' else rng.uniform(0.08, 0.25)
    azimuth = rng.uniform(0, 2 * np.pi)
    to_sun = np.array([
        np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation),
    ])
    low = np.clip(1 - elevation / 0.9, 0, 1)
    sun_colour = np.array([1.0, 0.96 - 0.12 * low, 0.9 - 0.3 * low])
    bluish = np.array([0.93, 0.98, 1.08])
    sky = (0.42 + 0.5 * (1 - strength)) * bluish ** (0.3 + strength)
    if weather == 'dusk':
        sky = sky * rng.uniform(0.4, 0.7)
    level = rng.uniform(0.8, 1.15)
    blue = np.array([rng.uniform(90, 150), rng.uniform(140, 190), rng.uniform(205, 250)])
    white = np.array([238.0, 243.0, 247.0]) + rng.normal(0, 6)
    grey = rng.uniform(180, 255) * np.array([0.98, 1.0, 1.02])
    horizon = white if weather in ('sunny', 'fair') else grey + 10
    zenith = blue if weather in ('sunny', 'fair') else grey
    if weather == 'dusk':
        zenith = np.array([70.0, 85, 115]) * rng.uniform(0.7, 1.4)
        horizon = np.array([215.0, 170, 140]) * rng.uniform(0.6, 1.0)
    glare = rng.uniform(1.0, 1.3) if weather != 'dusk' else 1.0
    visibility = {'hazy': rng.uniform(60, 180), 'overcast': rng.uniform(250, 900)}.get(
        weather, rng.uniform(400, 2000)
    )
    return Light(
        weather, to_sun, strength * rng.uniform(0.8, 1.2) * sun_colour * level, sky * level,
        (zenith * glare).clip(0, 255), (horizon * glare).clip(0, 255),
        (grey if weather == 'dusk' else white + 15).clip(0, 255),
        float(rng.uniform(0.1, 0.8)), float(visibility),
    )
