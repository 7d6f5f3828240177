# SPDX-License-Identifier: Apache-2.0
"""Random changes of images that keep their meaning; all randomness comes from the given rng."""

import cv2
import numpy as np

from perception_nodes.types import UNLABELLED, Array, FloatArray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def random_crop_transform(
    rng: np.random.Generator, image_hw: tuple[int, int], crop_hw: tuple[int, int],
    scales: tuple[float, float], focus_xy: tuple[float, float] | None = None,
) -> FloatArray:
    """Affine float64 [2, 3], crop pixel from image pixel: scale, aspect, small roll, flip, place.

    Parameters
    ----------
    scales : least and largest magnification, drawn log-uniformly.
    focus_xy : an image point that shall lie inside the crop; None: anywhere.
    """
    (height, width), (crop_h, crop_w) = image_hw, crop_hw
    scale = np.exp(rng.uniform(*np.log(scales)))
    aspect = np.exp(rng.uniform(-0.08, 0.08))
    roll = rng.normal(0, 0.03)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(roll), np.sin(roll)
    linear = scale * np.array([[cos, -sin], [sin, cos]]) @ np.diag([flip * aspect, 1 / aspect])
    seen = np.array([crop_w, crop_h]) / scale
    size = np.array([width, height])
    low, high = np.minimum(seen / 2, size / 2), np.maximum(size - seen / 2, size / 2)
    centre = rng.uniform(low, high)
    if focus_xy is not None:
        centre = np.clip(np.asarray(focus_xy) + rng.uniform(-0.4, 0.4, 2) * seen, low, high)
    offset = np.array([crop_w / 2 - 0.5, crop_h / 2 - 0.5]) - linear @ centre
    return np.hstack([linear, offset[:, None]])


def warp_image(image: Array, crop_from_image: FloatArray, crop_hw: tuple[int, int]) -> Array:
    """Resample uint8 [H, W, 3] linearly; what lies outside is flipped."""
    return cv2.warpAffine(
        image, crop_from_image, crop_hw[::-1], flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def warp_labels(labels: Array, crop_from_image: FloatArray, crop_hw: tuple[int, int]) -> Array:
    """Resample uint8 [H, W] class ids to the nearest; what lies outside is 255."""
    return cv2.warpAffine(
        labels, crop_from_image, crop_hw[::-1], flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT, borderValue=UNLABELLED,
    )


def colour_matrix(rng: np.random.Generator, strength: float = 1.0) -> FloatArray:
    """Float32 [3, 3]: a rotated hue, another saturation (sometimes none) and white balance."""
    angle = rng.normal(0, 0.25 * strength)
    saturation = 0.0 if rng.random() < 0.12 * strength else np.exp(rng.normal(0, 0.3 * strength))
    gains = np.exp(rng.normal(0, 0.12 * strength, 3))
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    hue = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * cross + grey
    luma = np.tile(LUMA, (3, 1))
    return (np.diag(gains) @ (luma + saturation * (hue - luma))).astype(np.float32)


def tone_curve(rng: np.random.Generator, strength: float = 1.0) -> Array:
    """Uint8 [256]: exposure, gamma, contrast and black level."""
    x = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.35 * strength))
    x = 0.5 + (x - 0.5) * np.exp(rng.normal(0, 0.25 * strength))
    x = x * np.exp(rng.normal(0, 0.25 * strength)) + rng.normal(0, 0.06 * strength)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def random_appearance(rng: np.random.Generator, image: Array, strength: float = 1.0) -> Array:
    """Another camera, hour, weather: colour, tone, uneven light, blur, noise; uint8 [H, W, 3]."""
    if rng.random() < 0.85:
        image = cv2.transform(image, colour_matrix(rng, strength))
    if rng.random() < 0.9:
        image = cv2.LUT(image, tone_curve(rng, strength))
    if rng.random() < 0.3:
        image = uneven_light(rng, image, strength)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < 0.3:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, int(rng.integers(2, 14)))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def uneven_light(rng: np.random.Generator, image: Array, strength: float = 1.0) -> Array:
    """Multiply uint8 [H, W, 3] by a smooth field: shadow sides, vignetting, low sun."""
    coarse = np.exp(rng.normal(0, 0.3 * strength, (3, 4))).astype(np.float32)
    field = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.multiply(image, cv2.merge([field] * 3), dtype=cv2.CV_8U)
