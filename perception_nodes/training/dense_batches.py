# SPDX-License-Identifier: Apache-2.0
"""Batches of stereo pairs, of images in motion and of images with depth: folded streets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.simulation.layers import random_motion_pair, random_stereo_pair
from perception_nodes.training.augment import random_appearance, random_crop_transform, warp_image
from perception_nodes.training.layered_scene import Folded, fold, other_view
from perception_nodes.training.scene_motion import scene_motion
from perception_nodes.training.segmentation_batches import read_camvid
from perception_nodes.types import Array, FloatArray

CAMERA_HEIGHT_M = 1.5
SKY_M = 150.0
MAX_DISPARITY_PX = 150.0
OCCLUDED_WEIGHT = np.float32(0.3)
"""Weight of an occluded pixel: it must be guessed, with a large sigma."""

TEXTURES = {
    'camvid/train': 0.35, 'idd_lite/leftImg8bit/train': 0.3, 'hololens_office/images': 0.35,
}
"""Folders under the data root whose images layered scenes are papered with, and how often."""

Sample = dict[str, Array]
"""Of one training example: images uint8 [H, W, 3], targets float32 [C, H, W]."""
Draw = Callable[[np.random.Generator], Sample]


@dataclass(frozen=True)
class DenseBatches:
    """Endless batches; batch(step) depends on the seed and the step alone.

    Attributes
    ----------
    draw : makes one example. Images become float 0..1, the rest is stacked as it is.
    """

    draw: Draw
    batch_size: int
    seed: int = 0

    def batch(self, step: int) -> dict[str, Tensor]:
        """Images float B 3 H W 0..1, targets float B C H W."""
        drawn = draw_batch(self.draw, self.batch_size, self.seed, step)
        return {key: stack(array) for key, array in drawn.items()}


def draw_batch(draw: Draw, batch_size: int, seed: int, step: int) -> Sample:
    """Draw the examples of a step: arrays of a Sample, one more axis in front."""
    rng = np.random.default_rng([seed, 3, step])
    samples = [draw(rng) for _ in range(batch_size)]
    return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}


def mixed(shares: Mapping[Draw, float]) -> Draw:
    """Draw now from one, now from another source, each as often as its share says."""
    draws, total = list(shares), sum(shares.values())
    probability = [share / total for share in shares.values()]

    def draw(rng: np.random.Generator) -> Sample:
        return draws[int(rng.choice(len(draws), p=probability))](rng)

    return draw


def stack(arrays: Array) -> Tensor:
    """Images uint8 B H W 3 as float B 3 H W 0..1, targets as they are."""
    stacked = torch.from_numpy(arrays)
    if stacked.dtype == torch.uint8:
        return stacked.permute(0, 3, 1, 2).float() / 255
    return stacked


def read_folded(root: Path, split: str) -> list[Folded]:
    """Fold every image of a split of CamVid."""
    return [fold(scene.image, scene.labels) for scene in read_camvid(root / 'camvid', split)]


def crop(
    rng: np.random.Generator, folded: Folded, size: tuple[int, int],
    scales: tuple[float, float],
) -> Folded:
    """Cut a random part out of a folded image, scaled, perhaps flipped, a little rolled."""
    transform = random_crop_transform(rng, folded.rows.shape, size, scales)
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    nearest = {'dsize': size[::-1], 'flags': cv2.INTER_NEAREST,
               'borderMode': cv2.BORDER_REFLECT_101}
    rows = cv2.warpAffine(folded.rows, transform, **nearest) * np.float32(scale)
    piece = cv2.warpAffine(folded.piece.astype(np.int16), transform, **nearest)
    # A rolled horizon has many rows: take the one in the middle of the crop.
    middle = np.array([size[1] / 2, size[0] / 2]) - transform[:, 2]
    middle_x = np.linalg.solve(transform[:, :2], middle)[0]
    horizon = float(transform[1] @ [middle_x, folded.horizon, 1.0])
    return Folded(warp_image(folded.image, transform, size), rows, piece.astype(np.int32), horizon)


def add_blobs(
    rng: np.random.Generator, folded: Folded, texture: Array, most: int
) -> Folded:
    """Hang a few slanted patches of another image's texture into a scene."""
    image, rows, piece = folded.image.copy(), folded.rows.copy(), folded.piece.copy()
    height, width = rows.shape
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    for _ in range(int(rng.integers(0, most + 1))):
        outline = _bar(rng, height, width) if rng.random() < 0.4 else _polygon(rng, height, width)
        mask = np.zeros(rows.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
        inside = mask.astype(bool)
        base = np.exp(rng.uniform(np.log(6), np.log(0.9 * height)))
        slant = 1 + rng.normal(0, 0.15) * x + rng.normal(0, 0.15) * y
        offset = rng.integers(0, [height, width])
        image[inside] = np.roll(texture, tuple(offset), (0, 1))[inside]
        rows[inside] = (base * slant.clip(0.3, 2)).astype(np.float32)[inside]
        piece[inside] = piece.max() + 1
    return Folded(image, rows, piece, folded.horizon)


def _polygon(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Draw a star-shaped outline, float64 [N, 2] px."""
    radius = np.exp(rng.uniform(np.log(5), np.log(0.3 * height)))
    corners = int(rng.integers(3, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))[:, None]
    reach = radius * rng.uniform(0.5, 1.5, (corners, 1)) * [[rng.uniform(0.5, 2), 1]]
    return rng.uniform(0, [width, height]) + reach * np.hstack([np.cos(angle), np.sin(angle)])


def _bar(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Draw something long, thin and rather upright, float64 [4, 2] px: posts, stems, rails."""
    lean = rng.normal(0, 0.1) if rng.random() < 0.8 else rng.uniform(0, np.pi)
    along = rng.uniform(0.1, 0.6) * height * np.array([np.sin(lean), np.cos(lean)])
    across = rng.uniform(1.0, 5.0) * np.array([np.cos(lean), -np.sin(lean)])
    centre = rng.uniform(0, [width, height])
    return centre + np.stack([along + across, along - across, -along - across, across - along])


def second_look(rng: np.random.Generator, image: Array) -> Array:
    """Take the same image by a slightly, sometimes badly, different camera."""
    return random_appearance(rng, image, 0.9 if rng.random() < 0.15 else 0.2)


def some_grey(rng: np.random.Generator, *views: Array) -> tuple[Array, ...]:
    """Take the colour out of all images of an example, every fourth time."""
    if rng.random() < 0.75:
        return views
    return tuple(
        cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        for image in views
    )


@dataclass(frozen=True)
class Images:
    """Folded images to draw from. size : (height, width) of what is drawn, pixels."""

    folded: list[Folded]
    size: tuple[int, int]
    scales: tuple[float, float] = (0.7, 1.7)

    def scene(self, rng: np.random.Generator, blobs: int) -> tuple[Folded, Array]:
        """Draw a crop with patches hung in, and another image to fill holes with."""
        one, two = (self.folded[i] for i in rng.integers(0, len(self.folded), 2))
        filler = crop(rng, two, self.size, self.scales).image
        return add_blobs(rng, crop(rng, one, self.size, self.scales), filler, blobs), filler


def stereo_example(rng: np.random.Generator, images: Images) -> Sample:
    """A rectified pair with disparity_px and weight [1, H, W] (less if occluded)."""
    scene, filler = images.scene(rng, 4)
    height, width = scene.rows.shape
    bottom = max(height - scene.horizon, 0.3 * height)
    ratio = np.exp(rng.uniform(np.log(8), np.log(80))) / bottom
    disparity = scene.rows * np.float32(ratio) * relief(rng, (height, width), 0.03)
    disparity = np.minimum(disparity, MAX_DISPARITY_PX)
    image = random_appearance(rng, scene.image, 0.6)
    shift = np.stack([disparity, misalignment(rng, (height, width))], -1)
    right, seen = other_view(image, shift, disparity, random_appearance(rng, filler))
    left, right = some_grey(rng, second_look(rng, image), second_look(rng, right))
    return {
        'left': left, 'right': right, 'disparity_px': disparity[None].astype(np.float32),
        'weight': np.where(seen, 1, OCCLUDED_WEIGHT)[None].astype(np.float32),
    }


def draw_textures(rng: np.random.Generator, root: Path) -> Path:
    """Draw one of the folders with textures."""
    return root / str(rng.choice(list(TEXTURES), p=list(TEXTURES.values())))


def layered_stereo_example(
    rng: np.random.Generator, size: tuple[int, int], textures: Path, most_px: float
) -> Sample:
    """A stereo_example of textured layers with disparities up to most_px.

    Parameters
    ----------
    textures : folder of images to take textures from.
    """
    pair = random_stereo_pair(rng, *size, most_px, textures)
    left, right = some_grey(rng, pair.left, pair.right)
    return {
        'left': left, 'right': right, 'disparity_px': pair.disparity_px[None],
        'weight': np.where(pair.occluded, OCCLUDED_WEIGHT, 1)[None].astype(np.float32),
    }


def relief(rng: np.random.Generator, size: tuple[int, int], strength: float) -> FloatArray:
    """Smooth factors around one, float32 [H, W]: nothing real is a plane."""
    coarse = 1 + rng.normal(0, strength, (6, 10)).astype(np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def misalignment(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """Rows by which the right image is off: every calibration is a little wrong, pixels."""
    if rng.random() < 0.5:
        return np.zeros(size, np.float32)
    corners = rng.normal(0, 0.4, (2, 2)).astype(np.float32)
    return cv2.resize(corners, size[::-1], interpolation=cv2.INTER_LINEAR)


def motion_example(rng: np.random.Generator, images: Images) -> Sample:
    """Older and newest image, flow_px [2, H, W] on the newest grid and weight [1, H, W]."""
    scene, filler = images.scene(rng, 5)
    flow = scene_motion(rng, scene)
    image = random_appearance(rng, scene.image, 0.6)
    older, seen = other_view(image, flow, scene.rows, random_appearance(rng, filler))
    older, newest = some_grey(rng, second_look(rng, older), second_look(rng, image))
    return {
        'image0': older, 'image1': newest,
        'flow_px': flow.transpose(2, 0, 1).astype(np.float32),
        'weight': np.where(seen, 1, OCCLUDED_WEIGHT)[None].astype(np.float32),
    }


def layered_motion_example(
    rng: np.random.Generator, size: tuple[int, int], textures: Path, most_px: float
) -> Sample:
    """A motion_example of textured layers that move by up to most_px.

    Parameters
    ----------
    textures : folder of images to take textures from.
    """
    pair = random_motion_pair(rng, *size, most_px, textures)
    older, newest = some_grey(rng, pair.image0, pair.image1)
    return {
        'image0': older, 'image1': newest,
        'flow_px': np.ascontiguousarray(pair.flow_px.transpose(2, 0, 1)),
        'weight': np.where(pair.occluded, OCCLUDED_WEIGHT, 1)[None].astype(np.float32),
    }


def depth_example(rng: np.random.Generator, images: Images) -> Sample:
    """An image and log_depth [1, H, W]: log of metres for a focal length of FOCAL_PX."""
    folded = images.folded[int(rng.integers(len(images.folded)))]
    for _ in range(12):  # a camera that drives looks about level
        scene = crop(rng, folded, images.size, images.scales)
        if 0.25 < scene.horizon / images.size[0] < 0.65:
            break
    depth_m = FOCAL_PX * CAMERA_HEIGHT_M / np.maximum(scene.rows, 1e-3)
    (image,) = some_grey(rng, random_appearance(rng, scene.image))
    return {
        'image': image,
        'log_depth': np.log(np.clip(depth_m, 0.5, SKY_M))[None].astype(np.float32),
    }
