# SPDX-License-Identifier: Apache-2.0
"""Batches for segmentation: images with class ids, cropped around rare things, varied, mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.losses.segmentation import median_frequency_weights
from perception_nodes.training.augment import (
    random_appearance,
    random_crop_transform,
    warp_image,
    warp_labels,
)
from perception_nodes.types import Array

FOCUS_POINTS = 64
MEAN, STD = 0.45, 0.25


@dataclass(frozen=True)
class Scene:
    """One labelled image: uint8 [H, W, 3] RGB, uint8 [H, W] ids (255 none), drive it is from.

    Attributes
    ----------
    magnify : by which its crops are enlarged beside what is drawn; of images in a smaller size.
    """

    image: Array
    labels: Array
    drive: str
    magnify: float = 1.0


@dataclass(frozen=True)
class CropOptions:
    """How a training crop is drawn.

    Attributes
    ----------
    height, width : of the crop, pixels, multiples of 32.
    scales : range of magnification; strength : of colour and light changes, 0 none.
    focus : share of crops laid around a rare class; paste : share that gets another one's objects.
    """

    height: int = 288
    width: int = 384
    scales: tuple[float, float] = (0.75, 1.6)
    strength: float = 0.7
    focus: float = 0.15
    paste: float = 0.05
    rare: tuple[int, ...] = (2, 6, 7, 9, 10)
    movable: tuple[int, ...] = (2, 6, 7, 8, 9, 10)


def read_camvid(root: Path, split: str) -> list[Scene]:
    """Read a split of CamVid into memory; a drive is what stands before the _ of a name."""
    return [
        Scene(sample.image.data, sample.labels, Path(sample.name).name.split('_')[0])
        for sample in CamVid(root, split)
    ]


class SegmentationBatches:
    """Endless training batches; batch(step) depends on the seed and the step alone.

    Parameters
    ----------
    scenes : real images; a drive with few of them is drawn from more often than its number.
    others : further images, and how much of what is drawn comes from them, 0..1; in all under 1.
    """

    def __init__(
        self, scenes: list[Scene], batch_size: int, seed: int = 0,
        options: CropOptions | None = None,
        others: Sequence[tuple[Sequence[Scene], float]] = (),
    ) -> None:
        added = [scene for group, _ in others for scene in group]
        self.scenes, self.batch_size, self.seed = [*scenes, *added], batch_size, seed
        self.options = options or CropOptions()
        rng = np.random.default_rng([seed, 1])
        self._focus = [focus_points(scene.labels, self.options.rare, rng) for scene in self.scenes]
        drives = [scene.drive for scene in scenes]
        real = np.array([1 / np.sqrt(drives.count(drive)) for drive in drives])
        other = [np.full(len(group), share / max(len(group), 1)) for group, share in others]
        rest = 1 - sum(share.sum() for share in other)
        self._share = np.concatenate([real * (rest / real.sum()), *other])

    def batch(self, step: int) -> dict[str, Tensor]:
        """Image float B 3 H W normalised, labels int64 B H W with 255 = none."""
        rng = np.random.default_rng([self.seed, 2, step])
        chosen = rng.choice(len(self.scenes), self.batch_size, p=self._share)
        crops = [self._crop(int(index), rng) for index in chosen]
        mixed = [
            paste_objects(crop, crops[i - 1], self.options.movable, rng)
            if rng.random() < self.options.paste else crop for i, crop in enumerate(crops)
        ]
        images = [random_appearance(rng, image, self.options.strength) for image, _ in mixed]
        labels = np.stack([labels for _, labels in mixed]).astype(np.int64)
        return {'image': normalise(np.stack(images)), 'labels': torch.from_numpy(labels)}

    def _crop(self, index: int, rng: np.random.Generator) -> tuple[Array, Array]:
        options, scene = self.options, self.scenes[index]
        points, focus = self._focus[index], None
        if len(points) and rng.random() < options.focus:
            choices = points[rng.integers(len(points))]
            focus = tuple(choices[rng.integers(len(choices))])
        size = (options.height, options.width)
        scales = tuple(scene.magnify * scale for scale in options.scales)
        transform = random_crop_transform(rng, scene.labels.shape, size, scales, focus)
        image = warp_image(scene.image, transform, size)
        return image, warp_labels(scene.labels, transform, size)


def focus_points(labels: Array, classes: tuple[int, ...], rng: np.random.Generator) -> list[Array]:
    """For each of the classes that occur, some of its pixels, int [N, 2] (x, y)."""
    result = []
    for class_id in classes:
        ys, xs = np.nonzero(labels == class_id)
        if len(xs):
            chosen = rng.integers(len(xs), size=FOCUS_POINTS)
            result.append(np.stack([xs[chosen], ys[chosen]], 1))
    return result


def paste_objects(
    onto: tuple[Array, Array], source: tuple[Array, Array], classes: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Lay some classes of another crop over this one (after ClassMix, Olsson et al. 2021)."""
    present = [c for c in classes if (source[1] == c).any()]
    if not present:
        return onto
    count = int(rng.integers(1, len(present) + 1))
    mask = np.isin(source[1], rng.choice(present, count, replace=False))
    return np.where(mask[..., None], source[0], onto[0]), np.where(mask, source[1], onto[1])


def normalise(images: Array) -> Tensor:
    """Float B 3 H W of uint8 [B, H, W, 3]: (v / 255 - 0.45) / 0.25."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return (tensor / 255 - MEAN) / STD


def class_weights(scenes: list[Scene], classes: int, power: float) -> Tensor:
    """Median-frequency weights of a data set."""
    pixels, present = torch.zeros(classes), torch.zeros(classes)
    for scene in scenes:
        counts = np.bincount(scene.labels.ravel(), minlength=256)[:classes]
        counts = torch.from_numpy(counts).float()
        pixels += counts
        present += counts.sum() * (counts > 0)
    return median_frequency_weights(pixels, present, power)
