# SPDX-License-Identifier: Apache-2.0
"""Recorded stereo pairs whose disparity is known in places: by consensus or by measurement."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.samples import StereoPair
from perception_nodes.pipelines.images import grey
from perception_nodes.pipelines.perception import StereoFrame
from perception_nodes.training.augment import random_appearance
from perception_nodes.training.consensus import kept_consensus
from perception_nodes.training.dense_batches import OCCLUDED_WEIGHT, Sample, second_look
from perception_nodes.training.recorded_depth import PAIR_TOLERANCE_NS, in_colour
from perception_nodes.training.rendered_batches import cut
from perception_nodes.types import Array, FloatArray, Image, PerceptionError

STRETCH = 0.05


@dataclass(frozen=True)
class LabelledPair:
    """A rectified pair and the disparity of some of the left image's pixels.

    Attributes
    ----------
    left, right : uint8 [H, W, 3] or [H, W].
    disparity_px : float16 [H, W], 0 where not known.
    weight : float16 [H, W], what a pixel counts, 0..1.
    """

    left: Array
    right: Array
    disparity_px: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        for array in (self.right, self.disparity_px, self.weight):
            if array.shape[:2] != self.left.shape[:2]:
                raise PerceptionError(
                    f'labels or right image {array.shape[:2]} and left image '
                    f'{self.left.shape[:2]} have different sizes'
                )


def drive_pairs(root: Path, cache: Path, split: str = 'fit') -> list[LabelledPair]:
    """Pairs of a KITTI drive with consensus labels."""
    return [
        consensus_pair(frame.left, frame.right, cache / f'drive_{frame.name}.npz')
        for frame in KittiDrive(root, split)
    ]


def bag_pairs(path: Path, cache: Path) -> list[LabelledPair]:
    """Pairs of a bag with rectified images, with consensus labels."""
    with open_bag(path) as bag:
        frames = BagFrames(bag, find_cameras(bag), PAIR_TOLERANCE_NS)
        return [
            consensus_pair(frame.left, frame.right, cache / f'bag06_{number:03d}.npz')
            for number, frame in enumerate(frames)
            if isinstance(frame, StereoFrame)
        ]


def consensus_pair(left: Image, right: Image, cached: Path) -> LabelledPair:
    """Label a pair by consensus, kept in a file."""
    label = kept_consensus(grey(left), grey(right), cached)
    disparity = np.nan_to_num(label.disparity_px).astype(np.float16)
    return LabelledPair(left.data, right.data, disparity, label.weight.astype(np.float16))


def measured_pairs(samples: Iterable[StereoPair]) -> list[LabelledPair]:
    """Pairs with ground truth; what one camera alone sees counts less."""
    pairs = []
    for pair in samples:
        known = np.isfinite(pair.disparity_px)
        weight = np.where(pair.visible, np.float32(1), OCCLUDED_WEIGHT) * known
        disparity = np.where(known, pair.disparity_px, 0).astype(np.float16)
        pairs.append(
            LabelledPair(pair.left.data, pair.right.data, disparity, weight.astype(np.float16))
        )
    return pairs


def pair_example(
    rng: np.random.Generator, pairs: list[LabelledPair], size: tuple[int, int],
    scales: tuple[float, float],
) -> Sample:
    """Draw a stereo_example (see dense_batches) from a random crop of a random pair.

    Parameters
    ----------
    scales : smallest and largest factor that a pair is resized by; larger ones where the crop
        would not lie inside the image.
    """
    pair = pairs[int(rng.integers(len(pairs)))]
    window = _window(rng, pair.left.shape[:2], size, scales)
    seed = int(rng.integers(2**31))
    left, right = (
        second_look(rng, random_appearance(np.random.default_rng(seed), image, 0.6))
        for image in (
            cut(in_colour(image), window, size, smooth=True) for image in (pair.left, pair.right)
        )
    )
    disparity = cut(pair.disparity_px.astype(np.float32), window, size, smooth=False)
    disparity = disparity * np.float32(window[0, 0])
    weight = cut(pair.weight.astype(np.float32), window, size, smooth=False)
    # Cropping both images alike moves the left edge: what lies beyond it is occluded.
    weight = np.where(disparity > np.arange(size[1]), OCCLUDED_WEIGHT * weight, weight)
    return {
        'left': left, 'right': right, 'disparity_px': disparity[None],
        'weight': weight[None].astype(np.float32),
    }


def _window(
    rng: np.random.Generator, shape: tuple[int, ...], size: tuple[int, int],
    scales: tuple[float, float],
) -> FloatArray:
    """Affine float64 [2, 3], crop from image: scaled, a little stretched, at a random place."""
    least = max(side / full for side, full in zip(size, shape, strict=True))
    low, high = np.log(np.maximum(scales, least))
    scale = np.exp(rng.uniform(low, high))
    stretch = np.exp(rng.normal(0, STRETCH))
    scale_x, scale_y = max(scale * stretch, least), max(scale / stretch, least)
    y, x = rng.uniform(0, np.maximum(np.array(shape) - np.array(size) / [scale_y, scale_x], 0))
    return np.array([[scale_x, 0, -scale_x * x], [0, scale_y, -scale_y * y]])


def disturbed(rng: np.random.Generator, sample: Sample) -> Sample:
    """Make the right camera worse than the left one, now and then, in the ways of real rigs.

    Darker by up to a half (its own exposure), out of focus, some rows off or rolled, or with
    something before the lens that the left one does not see.
    """
    right, weight = sample['right'], sample['weight']
    if rng.random() < 0.2:
        right = cv2.convertScaleAbs(right, alpha=rng.uniform(0.5, 1.0))
    if rng.random() < 0.1:
        right = cv2.GaussianBlur(right, (0, 0), rng.uniform(0.5, 1.2))
    if rng.random() < 0.25:
        right = _rows_off(rng, right)
    if rng.random() < 0.25:
        right, weight = _covered(rng, right, sample['disparity_px'][0], weight)
    return {**sample, 'right': right, 'weight': weight}


def _rows_off(rng: np.random.Generator, image: Array) -> Array:
    height, width = image.shape[:2]
    roll = np.radians(rng.normal(0, 0.06))
    rows = np.array([[1, 0, 0], [roll, 1, rng.normal(0, 0.4) - roll * width / 2]])
    return cv2.warpAffine(image, rows, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def _covered(
    rng: np.random.Generator, right: Array, disparity_px: FloatArray, weight: FloatArray
) -> tuple[Array, FloatArray]:
    """Cover the right image with one or two plain or textured rectangles: occluded there.

    Parameters
    ----------
    right : uint8 [H, W, 3]. disparity_px : [H, W]. weight : [1, H, W].
    """
    height, width = right.shape[:2]
    right, weight = right.copy(), weight.copy()
    there = np.arange(width) - disparity_px
    for _ in range(int(rng.integers(1, 3))):
        rows, columns = rng.integers(12, 70, 2)
        y, x = int(rng.integers(0, height - rows // 2)), int(rng.integers(0, width - columns // 2))
        patch = right[y : y + rows, x : x + columns]
        if rng.random() < 0.5:
            patch[:] = patch.reshape(-1, 3).mean(0)
        else:
            top, left = int(rng.integers(0, height - rows)), int(rng.integers(0, width - columns))
            patch[:] = right[top : top + patch.shape[0], left : left + patch.shape[1]].copy()
        behind = there[y : y + rows]
        occluded = (behind >= x) & (behind < x + columns)
        part = weight[0, y : y + rows]
        part[occluded] = np.minimum(part[occluded], OCCLUDED_WEIGHT)
    return right, weight
