# SPDX-License-Identifier: Apache-2.0
"""Two views of one image under known homographies, with the corners that both views show.

Self-supervision after SuperPoint's homographic adaptation: what a corner detector finds in one
view and again in the other is a keypoint, whatever light, blur and noise are laid over it then.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from perception_nodes.training.augment import random_appearance
from perception_nodes.training.segmentation_batches import normalise
from perception_nodes.types import Array, FloatArray

CELL = 8
MATCHES = 192
NEAR_PX = 2.0  # a corner found again
SAME_PX = 8.0  # two points closer than this count as one


@dataclass(frozen=True)
class FeatureBatches:
    """Endless batches; batch(step) depends on the seed and the step alone.

    Attributes
    ----------
    images : uint8 [H, W, 3] to draw from. size : (height, width) of a view, multiples of 16.
    shapes : share of examples that are drawn shapes instead of an image.
    """

    images: list[Array]
    size: tuple[int, int] = (192, 256)
    batch_size: int = 8
    seed: int = 0
    shapes: float = 0.25

    def batch(self, step: int) -> dict[str, Tensor]:
        """image0, image1 float B 3 H W; cells0, cells1 int64 B h w; points0, points1 B N 2."""
        rng = np.random.default_rng([self.seed, 5, step])
        examples = [self.example(rng) for _ in range(self.batch_size)]
        result = {}
        for key in examples[0]:
            stacked = np.stack([example[key] for example in examples])
            result[key] = (
                normalise(stacked) if key.startswith('image') else torch.from_numpy(stacked)
            )
        return result

    def example(self, rng: np.random.Generator) -> dict[str, Array]:
        """One pair of views."""
        image = self.images[int(rng.integers(len(self.images)))]
        if rng.random() < self.shapes:
            image = drawn_shapes(rng, image.shape[:2])
        homographies = [random_view(rng, image.shape[:2], self.size) for _ in range(2)]
        views = [view(image, homography, self.size) for homography in homographies]
        one_from_zero = homographies[1] @ np.linalg.inv(homographies[0])
        corners = [strong_corners(image) for image in views]
        kept0 = found_again(corners[0], corners[1], one_from_zero)
        kept1 = found_again(corners[1], corners[0], np.linalg.inv(one_from_zero))
        points0 = match_points(rng, kept0, one_from_zero, self.size)
        return {
            'image0': random_appearance(rng, views[0]),
            'image1': random_appearance(rng, views[1]),
            'cells0': cells_of(kept0, self.size), 'cells1': cells_of(kept1, self.size),
            'points0': points0.astype(np.float32),
            'points1': moved(points0, one_from_zero).astype(np.float32),
        }


def random_view(
    rng: np.random.Generator, image_hw: tuple[int, int], size: tuple[int, int]
) -> FloatArray:
    """Homography, view pixel from image pixel: scale, turn, tilt; mostly inside the image."""
    (height, width), (view_h, view_w) = image_hw, size
    scale = np.exp(rng.uniform(np.log(0.7), np.log(1.8)))
    angle, (tilt_x, tilt_y) = rng.normal(0, 0.25), rng.normal(0, 0.25, 2) / view_w
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    stretch = np.diag([scale * np.exp(rng.normal(0, 0.1)), scale, 1.0])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [tilt_x, tilt_y, 1.0]])
    centre = np.array([width, height]) * rng.uniform(0.42, 0.58, 2)
    there = np.array([[1, 0, view_w / 2], [0, 1, view_h / 2], [0, 0, 1.0]])
    here = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1.0]])
    return there @ tilt @ turn @ stretch @ here


def view(image: Array, homography: FloatArray, size: tuple[int, int]) -> Array:
    """Resample an image, smoothed first where it shrinks."""
    shrink = 1 / np.sqrt(abs(np.linalg.det(homography[:2, :2])))
    if shrink > 1.1:
        image = cv2.GaussianBlur(image, (0, 0), 0.45 * np.sqrt(shrink**2 - 1) + 0.2)
    return cv2.warpPerspective(
        image, homography, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def moved(points: FloatArray, homography: FloatArray) -> FloatArray:
    """Map points [N, 2] by a homography."""
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def strong_corners(image: Array, most: int = 300) -> FloatArray:
    """Shi-Tomasi corners [N, 2], strongest first, 5 px apart, off the border."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.8)
    found = cv2.goodFeaturesToTrack(grey, most, 0.01, 5, blockSize=3)
    if found is None:
        return np.zeros((0, 2))
    points = found[:, 0].astype(np.float64)
    height, width = grey.shape
    inside = ((points >= 4) & (points < [width - 4, height - 4])).all(1)
    return points[inside]


def found_again(
    points: FloatArray, others: FloatArray, others_from_points: FloatArray
) -> FloatArray:
    """Those points that the other view shows too."""
    if not len(points) or not len(others):
        return np.zeros((0, 2))
    there = moved(points, others_from_points)
    distance = np.linalg.norm(there[:, None] - others[None], axis=2)
    return points[distance.min(axis=1) < NEAR_PX]


def cells_of(points: FloatArray, size: tuple[int, int]) -> Array:
    """Int64 [h, w]: pixel 0..63 of each cell's strongest keypoint, 64 = none."""
    cells = np.full((size[0] // CELL, size[1] // CELL), CELL**2, np.int64)
    for x, y in np.rint(points[::-1]).astype(int):  # strongest last, so that it stays
        cells[y // CELL, x // CELL] = y % CELL * CELL + x % CELL
    return cells


def match_points(
    rng: np.random.Generator, kept: FloatArray, one_from_zero: FloatArray, size: tuple[int, int]
) -> FloatArray:
    """MATCHES points [N, 2] that both views show: keypoints first, then any."""
    limit = np.array([size[1], size[0]]) - 4.0
    anywhere = rng.uniform(4, limit, (20 * MATCHES, 2))
    candidates = np.concatenate([rng.permutation(kept)[: MATCHES * 3 // 4], anywhere])
    there = moved(candidates, one_from_zero)
    both = ((there >= 4) & (there < limit)).all(axis=1)
    chosen = candidates[both][:MATCHES]
    if len(chosen) < MATCHES:  # hardly any overlap: fill up, the loss counts them all the same
        chosen = np.concatenate([chosen, candidates[: MATCHES - len(chosen)]])
    return chosen


def drawn_shapes(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Polygons, lines, ellipses, checkers on a smooth ground (SuperPoint's synthetic shapes)."""
    height, width = size
    ground = cv2.resize(
        rng.uniform(40, 215, (4, 5, 3)).astype(np.float32), (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    image = np.clip(ground, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(8, 30))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        centre = rng.uniform(0, [width, height])
        radius = np.exp(rng.uniform(np.log(8), np.log(90)))
        kind = rng.integers(4)
        if kind == 0:
            angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            outline = centre + radius * np.stack([np.cos(angle), np.sin(angle)], 1)
            cv2.fillPoly(image, [np.rint(outline).astype(np.int32)], colour, cv2.LINE_AA)
        elif kind == 1:
            end = centre + rng.normal(0, radius, 2)
            ends = [tuple(int(v) for v in np.rint(point)) for point in (centre, end)]
            cv2.line(image, ends[0], ends[1], colour, int(rng.integers(1, 6)), cv2.LINE_AA)
        elif kind == 2:
            axes = tuple(int(v) for v in np.rint(radius * rng.uniform(0.3, 1, 2)) + 1)
            middle = tuple(int(v) for v in np.rint(centre))
            cv2.ellipse(image, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            draw_checker(rng, image, centre, radius, colour)
    return image


def draw_checker(
    rng: np.random.Generator, image: Array, centre: FloatArray, radius: float,
    colour: tuple[int, ...],
) -> None:
    """Draw a turned checkerboard patch into the image."""
    count, angle = int(rng.integers(3, 7)), rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = 2 * radius / count
    for row in range(count):
        for column in range(row % 2, count, 2):
            corner = np.array([column, row]) * side - radius
            square = corner + side * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
            outline = np.rint(square @ turn.T + centre).astype(np.int32)
            cv2.fillPoly(image, [outline], colour, cv2.LINE_AA)
