# SPDX-License-Identifier: Apache-2.0
"""What a camera and the light do to an image: two cameras never see one colour."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['Appearance', 'develop', 'exposure_for', 'random_appearance']


@dataclass(frozen=True)
class Appearance:
    """How an image is taken.

    Attributes
    ----------
    gain : of each channel, white balance and exposure.
    gamma : tone curve, > 0; 1 changes nothing.
    bias : grey levels added.
    blur_px : sigma of a Gaussian blur, 0 = sharp.
    vignetting : share of light lost in the corners, 0..1.
    noise : sigma of sensor noise, grey levels at full white (shot noise: half of it in the dark).
    contrast : slope of the tone curve's middle; 1 changes nothing.
    sharpening : how much the camera exaggerates edges, 0 = not.
    saturation : of colours; 0 = grey, 1 changes nothing.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    bias: float = 0.0
    blur_px: float = 0.0
    vignetting: float = 0.0
    noise: float = 0.0
    contrast: float = 1.0
    sharpening: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        if self.gamma <= 0 or min(self.gain) < 0 or self.blur_px < 0 or self.noise < 0:
            raise PerceptionError(
                'an appearance needs gamma > 0 and gain, blur_px and noise >= 0: '
                f'{self.gamma}, {self.gain}, {self.blur_px}, {self.noise}'
            )
        if not 0 <= self.vignetting <= 1:
            raise PerceptionError(f'vignetting {self.vignetting} is not within 0..1')


def random_appearance(rng: np.random.Generator, strength: float = 1.0) -> Appearance:
    """Draw an appearance; strength 0 leaves an image as it is, 1 is a bad day."""
    exposure = np.exp(rng.normal(0, 0.25) * strength)
    gain = exposure * np.exp(rng.normal(0, 0.06, 3) * strength)
    return Appearance(
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        gamma=float(np.exp(rng.normal(0, 0.2) * strength)),
        bias=float(rng.normal(0, 8) * strength),
        blur_px=float(max(rng.normal(0, 0.6), 0) * strength),
        vignetting=float(min(abs(rng.normal(0, 0.25)) * strength, 1.0)),
        noise=float(abs(rng.normal(0, 6)) * strength),
        contrast=float(np.exp(rng.normal(0.1, 0.15) * strength)),
        sharpening=float(abs(rng.normal(0, 0.6)) * strength),
        saturation=float(np.exp(rng.normal(-0.1, 0.3) * strength)),
    )


def develop(rng: np.random.Generator, image: Array, appearance: Appearance) -> Array:
    """Take the image.

    Parameters
    ----------
    rng : draws the noise.
    image : uint8 [H, W, 3] RGB, the light that falls in.

    Returns
    -------
    uint8 [H, W, 3].
    """
    if appearance.blur_px > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), appearance.blur_px)
    if appearance.saturation != 1:
        image = _saturated(image, appearance.saturation)
    levels = np.arange(256, dtype=np.float64)[:, None] / 255
    curve = (levels * np.array(appearance.gain)) ** appearance.gamma
    curve = 255 * (0.45 + appearance.contrast * (curve - 0.45)) + appearance.bias
    image = cv2.LUT(image, np.rint(curve.clip(0, 255)).astype(np.uint8)[None])
    if appearance.vignetting > 0:
        image = shaded(image, appearance.vignetting)
    if appearance.noise > 0:
        image = noisy(rng, image, appearance.noise)
    if appearance.sharpening > 0:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        more = 1 + appearance.sharpening
        image = cv2.addWeighted(image, more, soft, 1 - more, 0)
    return image


def exposure_for(image: Array, target: float = 95.0) -> float:
    """Gain with which an image's lower two thirds get a mean brightness, as a camera sets it."""
    lower = image[image.shape[0] // 3 :: 4, ::4]
    return float(np.clip(target / max(float(lower.mean()), 1.0), 0.5, 3.0))


def shaded(image: Array, vignetting: float) -> Array:
    """Darken towards the corners by cos^4-like fall-off."""
    fall = 1 - np.float32(vignetting) * _radius2(*image.shape[:2])
    return cv2.multiply(image, cv2.merge([fall] * 3), dtype=cv2.CV_8U)


def noisy(rng: np.random.Generator, image: Array, sigma: float) -> Array:
    """Add sensor noise, the stronger the lighter the pixel."""
    noise = cv2.merge([_field(rng, *image.shape[:2]) for _ in range(3)])
    scale = cv2.LUT(image, _shot_noise(round(sigma, 2))[None])
    return cv2.add(image, cv2.multiply(noise, scale), dtype=cv2.CV_8U)


def _saturated(image: Array, saturation: float) -> Array:
    grey = np.full((3, 3), (1 - saturation) / 3) + saturation * np.eye(3)
    return cv2.transform(image, grey)


@lru_cache(maxsize=16)
def _radius2(height: int, width: int) -> FloatArray:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return (x * x + y * y) / 2


@lru_cache(maxsize=1)
def _noise_pool() -> FloatArray:
    return np.random.default_rng(9).standard_normal(1 << 20, np.float32)


def _field(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """White noise float32 [height, width], cut from a pool: drawing it anew costs ten times."""
    count = height * width
    pool = _noise_pool()
    if count >= len(pool) // 2:
        return rng.standard_normal((height, width), np.float32)
    start = int(rng.integers(len(pool) - count))
    return pool[start : start + count].reshape(height, width)


@lru_cache(maxsize=64)
def _shot_noise(sigma: float) -> FloatArray:
    return (sigma * (0.5 + 0.5 * np.sqrt(np.arange(256) / 255))).astype(np.float32)
