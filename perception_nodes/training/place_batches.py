# SPDX-License-Identifier: Apache-2.0
"""Two strongly different views of one place: another crop, tilt, light, or a second later."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from perception_nodes.training.augment import random_appearance
from perception_nodes.training.feature_batches import view
from perception_nodes.training.segmentation_batches import Scene, normalise
from perception_nodes.types import Array, FloatArray

NEIGHBOURS = 4  # images of one drive so near in its order may show one place


@dataclass(frozen=True)
class PlaceBatches:
    """Endless batches; batch(step) depends on the seed and the step alone.

    Attributes
    ----------
    scenes : in the order of their drives. size : (height, width) of a view.
    """

    scenes: list[Scene]
    size: tuple[int, int] = (192, 256)
    batch_size: int = 16
    seed: int = 0

    def batch(self, step: int) -> dict[str, Tensor]:
        """anchor, positive float B 3 H W; excluded bool B B: pairs that are no negatives."""
        rng = np.random.default_rng([self.seed, 6, step])
        chosen = rng.choice(len(self.scenes), self.batch_size, replace=False)
        views = [[self._view(rng, self._near(rng, int(i), side)) for i in chosen]
                 for side in range(2)]
        near = np.abs(chosen[:, None] - chosen[None]) <= NEIGHBOURS
        excluded = near & ~np.eye(len(chosen), dtype=bool)
        return {
            'anchor': normalise(np.stack(views[0])), 'positive': normalise(np.stack(views[1])),
            'excluded': torch.from_numpy(excluded),
        }

    def _near(self, rng: np.random.Generator, index: int, side: int) -> Array:
        """Take the image itself, or for the second view sometimes its neighbour in the drive."""
        other = index + int(rng.integers(-1, 2)) if side and rng.random() < 0.4 else index
        if not 0 <= other < len(self.scenes):
            other = index
        if self.scenes[other].drive != self.scenes[index].drive:
            other = index
        return self.scenes[other].image

    def _view(self, rng: np.random.Generator, image: Array) -> Array:
        homography = place_view(rng, image.shape[:2], self.size)
        seen = random_appearance(rng, view(image, homography, self.size))
        if rng.random() < 0.4:  # something stands in the way
            height, width = self.size
            top, left = rng.integers(0, [height * 3 // 4, width * 3 // 4])
            bottom, right = np.add([top, left], rng.integers(10, [height // 2, width // 2]))
            seen = seen.copy()
            seen[top:bottom, left:right] = rng.integers(0, 256, 3, dtype=np.uint8)
        return seen


def place_view(
    rng: np.random.Generator, image_hw: tuple[int, int], size: tuple[int, int]
) -> FloatArray:
    """Homography, view pixel from image pixel: 55 to 100 % of the image, a little tilted."""
    height, width = image_hw
    share = rng.uniform(0.55, 1.0)
    seen = share * np.array([width, height]) * np.exp(rng.normal(0, 0.05, 2))
    centre = np.array([width, height]) / 2 + rng.uniform(-0.5, 0.5, 2) * (1 - share) * [
        width, height]
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]])
    corners = centre + signs * seen / 2 + rng.normal(0, 0.04, (4, 2)) * seen
    targets = (signs + 1) / 2 * np.array([size[1], size[0]])
    return cv2.getPerspectiveTransform(
        corners.astype(np.float32), targets.astype(np.float32)
    ).astype(np.float64)
