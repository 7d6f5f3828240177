# SPDX-License-Identifier: Apache-2.0
"""Textured layers in random motion: image pairs with exact flow or disparity, and occlusion.

A layer is a texture and an outline on a canvas. ``maps1`` says where each pixel of image1 looks on
the canvas (anything smooth), ``maps0`` the same of image0 (always affine, so it can be undone):
the point seen at p in image1 is at ``maps0^-1(maps1(p))`` in image0, exactly. Both images are
sampled between the canvas' pixels, so neither is the sharper one.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.simulation.content.shapes import draw_shape
from perception_nodes.simulation.content.textures import draw_texture
from perception_nodes.simulation.render.photometric import develop, random_appearance
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['MotionPair', 'StereoLayersPair', 'random_motion_pair', 'random_stereo_pair']

_INVERSE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_WOBBLE_SHARE = 0.1


@dataclass(frozen=True)
class MotionPair:
    """Two images and the motion between them, in the convention of types.Flow.

    Attributes
    ----------
    image0, image1 : uint8 [H, W, 3] RGB; image0 is the older one.
    flow_px : float32 [H, W, 2] on image1's grid: the point at p was at ``p - flow_px[p]`` in
        image0; everywhere finite, also where it was occluded.
    occluded : bool [H, W] on image1's grid: hidden or outside in image0.
    """

    image0: Array
    image1: Array
    flow_px: FloatArray
    occluded: Array


@dataclass(frozen=True)
class StereoLayersPair:
    """A rectified pair and its disparity.

    Attributes
    ----------
    left, right : uint8 [H, W, 3] RGB.
    disparity_px : float32 [H, W] >= 0 on the left grid, ``x_right = x_left - disparity_px``.
    occluded : bool [H, W] on the left grid: hidden or outside in the right image.
    """

    left: Array
    right: Array
    disparity_px: FloatArray
    occluded: Array


@dataclass(frozen=True)
class _Layer:
    """Texture, opacity (None: everywhere) and where both images look on its canvas."""

    texture: Array
    opacity: Array | None
    maps1: FloatArray
    canvas_from_0: FloatArray

    def at0(self) -> FloatArray:
        """Where every pixel of image1 is in image0, float32 [H, W, 2], if it shows this layer."""
        inverse = cv2.invertAffineTransform(self.canvas_from_0)
        return (self.maps1 @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)


def random_motion_pair(
    rng: np.random.Generator, height: int, width: int, max_motion_px: float = 40.0,
    texture_folder: Path | None = None, *, photometric: float = 1.0,
) -> MotionPair:
    """Draw a pair of images of layers that move by shift, turn, zoom, shear and wobble.

    Parameters
    ----------
    max_motion_px : no flow is longer; most are much shorter.
    texture_folder : images to take textures from, besides the procedural ones.
    photometric : how differently the two images are taken; 0 = not at all.

    Raises
    ------
    PerceptionError
        If a size or the motion is not positive or the folder holds no image.
    """
    _check(height, width, max_motion_px)
    reach = max_motion_px * float(rng.beta(1.0, 1.8))
    own = 0.05 + 0.95 * float(rng.beta(1.0, 1.5))
    layers = []
    for index in range(1 + int(rng.integers(2, 9))):
        motion = reach if index == 0 else min(reach * own + 1.0, max_motion_px)
        maps1, canvas_from_0 = _motion(rng, height, width, motion)
        layers.append(_layer(rng, height, width, index, maps1, canvas_from_0, texture_folder))
    image0, image1, at0, occluded = _compose(layers, height, width)
    image0, image1 = _photographed(rng, image0, image1, photometric)
    return MotionPair(image0, image1, _grid(height, width) - at0, occluded)


def random_stereo_pair(
    rng: np.random.Generator, height: int, width: int, max_disparity_px: float = 96.0,
    texture_folder: Path | None = None, *, photometric: float = 0.6,
) -> StereoLayersPair:
    """Draw a rectified pair of slanted, bent layers, the nearest drawn last.

    Parameters
    ----------
    max_disparity_px : no disparity is larger.
    texture_folder, photometric : see random_motion_pair.

    Raises
    ------
    PerceptionError
        If a size or the disparity is not positive or the folder holds no image.
    """
    _check(height, width, max_disparity_px)
    far = max_disparity_px * float(rng.beta(1.0, 5.0))
    near = far + (max_disparity_px - far) * float(rng.beta(1.5, 2.0))
    depths = np.sort(rng.uniform(far, near, int(rng.integers(2, 10))))
    layers = []
    for index, middle in enumerate([far, *depths]):
        disparity = _bent_plane(rng, height, width, middle, max_disparity_px)
        canvas_from_right = np.array([[1.0, 0.0, rng.random()], [0.0, 1.0, rng.random()]])
        maps1 = _grid(height, width) + canvas_from_right[:, 2].astype(np.float32)
        maps1[..., 0] -= disparity
        layers.append(
            _layer(rng, height, width, index, maps1, canvas_from_right, texture_folder)
        )
    right, left, at_right, occluded = _compose(layers, height, width)
    disparity_px = np.maximum(_grid(height, width)[..., 0] - at_right[..., 0], 0)
    right, left = _photographed(rng, right, left, photometric)
    return StereoLayersPair(left, right, disparity_px, occluded)


def _layer(
    rng: np.random.Generator, height: int, width: int, index: int, maps1: FloatArray,
    canvas_from_0: FloatArray, folder: Path | None,
) -> _Layer:
    texture = draw_texture(rng, height, width, folder)
    return _Layer(texture, draw_shape(rng, height, width) if index else None, maps1, canvas_from_0)


def _motion(
    rng: np.random.Generator, height: int, width: int, reach_px: float
) -> tuple[FloatArray, FloatArray]:
    """Draw where both images look on a canvas, no point moving further than reach_px."""
    amplitude = reach_px * _WOBBLE_SHARE * float(rng.random() < 0.4)
    wobble = _wobble(rng, height, width, amplitude)
    linear = rng.normal(0, 0.03, (2, 2)) + rng.normal(0, 0.03) * np.array([[0, -1], [1, 0]])
    linear += rng.normal(0, 0.03) * np.eye(2)
    angle = rng.uniform(0, 2 * np.pi)
    shift = reach_px * np.sqrt(rng.random()) * np.array([np.cos(angle), 0.6 * np.sin(angle)])
    centre = np.array([width / 2, height / 2])
    corners = np.array([[-8, -8], [width + 8, -8], [-8, height + 8], [width + 8, height + 8]])
    longest = np.linalg.norm((corners - centre) @ linear.T + shift, axis=1).max()
    share = min(1.0, (1 - 2 * _WOBBLE_SHARE) * reach_px / max(longest, 1e-6))
    linear, shift = linear * share, shift * share
    moved = np.eye(2) - linear
    from_canvas = np.hstack([moved, (linear @ centre - shift)[:, None]])
    offset = rng.random(2)
    canvas_from_0 = cv2.invertAffineTransform(from_canvas)
    canvas_from_0[:, 2] += offset
    return _grid(height, width) + wobble + offset.astype(np.float32), canvas_from_0


def _wobble(
    rng: np.random.Generator, height: int, width: int, amplitude_px: float
) -> FloatArray:
    """Smooth displacements of at most amplitude_px, float32 [H, W, 2]."""
    if amplitude_px <= 0:
        return np.zeros((height, width, 2), np.float32)
    coarse = rng.uniform(-0.7, 0.7, (5, 7, 2)).astype(np.float32) * np.float32(amplitude_px)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def _bent_plane(
    rng: np.random.Generator, height: int, width: int, middle_px: float, most_px: float
) -> FloatArray:
    """Disparity of a layer, float32 [H, W], a plane with some relief, within 0..most_px."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slant = rng.normal(0, 0.12, 2) * max(middle_px, 2.0)
    if rng.random() < 0.3:
        slant[1] = abs(rng.normal(0, 0.6)) * middle_px
    plane = np.float32(middle_px) + np.float32(slant[0]) * x + np.float32(slant[1]) * y
    if rng.random() < 0.5:
        relief = rng.normal(0, 0.05 * middle_px, (5, 7)).astype(np.float32)
        plane = plane + cv2.resize(relief, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(plane, 0, np.float32(most_px))


def _compose(
    layers: list[_Layer], height: int, width: int
) -> tuple[Array, Array, FloatArray, Array]:
    """Paint layers over each other: image0, image1, image1's pixels in image0, and occluded."""
    size = (width, height)
    image0 = image1 = np.empty(0, np.uint8)
    top0, top1 = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    at0 = np.empty((height, width, 2), np.float32)
    for index, layer in enumerate(layers):
        layer0 = cv2.warpAffine(
            layer.texture, layer.canvas_from_0, size, flags=_INVERSE,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        layer1 = cv2.remap(
            layer.texture, layer.maps1, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        here = layer.at0()
        if layer.opacity is None:
            image0, image1, at0 = layer0, layer1, here
            continue
        opacity0 = cv2.warpAffine(layer.opacity, layer.canvas_from_0, size, flags=_INVERSE)
        opacity1 = cv2.remap(layer.opacity, layer.maps1, None, cv2.INTER_LINEAR)
        image0 = _over(image0, layer0, opacity0)
        image1 = _over(image1, layer1, opacity1)
        top0[opacity0 >= 128] = index
        inside = opacity1 >= 128
        top1[inside] = index
        np.copyto(at0, here, where=inside[..., None])
    seen_there = cv2.remap(
        top0, at0, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=255
    )
    return image0, image1, at0, seen_there != top1


def _over(below: Array, above: Array, opacity: Array) -> Array:
    weight = opacity.astype(np.float32) / 255
    return cv2.blendLinear(above, below, weight, 1 - weight)


def _photographed(
    rng: np.random.Generator, image0: Array, image1: Array, strength: float
) -> tuple[Array, Array]:
    """Take both images, usually much alike, sometimes badly different."""
    if strength <= 0:
        return image0, image1
    both, each = random_appearance(rng, 0.7), 0.25 * strength
    if rng.random() < 0.2:
        each = strength
    images = [develop(rng, image, both) for image in (image0, image1)]
    first, second = (develop(rng, p, random_appearance(rng, each)) for p in images)
    return first, second


def _grid(height: int, width: int) -> FloatArray:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], -1)


def _check(height: int, width: int, reach_px: float) -> None:
    if height < 16 or width < 16:
        raise PerceptionError(f'an image of {width}x{height} px is too small for layers: 16x16')
    if not reach_px > 0:
        raise PerceptionError(f'the largest motion must be positive, not {reach_px} px')
