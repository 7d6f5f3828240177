# SPDX-License-Identifier: Apache-2.0
"""Training examples cut out of views of the rendered street, kept on disk between trainings."""

import os
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.simulation.cache import (
    CachedSample,
    RenderedCache,
    read_arrays,
)
from perception_nodes.simulation.filling import fill_cache
from perception_nodes.simulation.random_views import random_views
from perception_nodes.training.annotation import as_drawn
from perception_nodes.training.augment import random_appearance
from perception_nodes.training.dense_batches import (
    OCCLUDED_WEIGHT,
    SKY_M,
    Sample,
    second_look,
    some_grey,
)
from perception_nodes.training.segmentation_batches import Scene
from perception_nodes.types import Array, FloatArray

FOLDER = 'PERCEPTION_RENDERED'
VIEWS = 240
SCALES = (0.7, 1.4)


class RenderedViews:
    """The first views of a cache, each unpacked once and kept in memory (2.5 MB)."""

    def __init__(self, cache: RenderedCache, count: int) -> None:
        self.cache, self.count = cache, count
        self.kept: dict[int, CachedSample] = {}

    def draw(self, rng: np.random.Generator) -> CachedSample:
        """Draw one of them."""
        index = int(rng.integers(self.count))
        if index not in self.kept:
            self.kept[index] = self.cache[index]
        return self.kept[index]


def rendered_views(count: int = VIEWS) -> RenderedViews:
    """Return views of random streets; those that are missing are rendered first.

    They lie in the folder that the variable PERCEPTION_RENDERED names, else in runs/rendered. A
    view costs half a second of one core; as many are at work as OpenCV may use.
    """
    folder = Path(os.environ.get(FOLDER, 'runs/rendered'))
    fill_cache(folder, partial(random_views, 1), count, workers=cv2.getNumThreads())
    return RenderedViews(RenderedCache(folder), count)


def rendered_scenes(count: int = VIEWS) -> list[Scene]:
    """Left images and classes, as people draw them, of the rendered views: one more drive."""
    files = rendered_views(count).cache.files[:count]
    arrays = (read_arrays(file, ('left', 'labels', 'disparity_px')) for file in files)
    return [
        Scene(kept['left'], as_drawn(kept['labels'], kept['disparity_px']), 'rendered')
        for kept in arrays
    ]


def draw_window(
    rng: np.random.Generator, view_hw: tuple[int, int], size: tuple[int, int]
) -> FloatArray:
    """Affine float64 [2, 3], crop from view: a random scale (one that fits) and place, upright."""
    least = max(side / full for side, full in zip(size, view_hw, strict=True))
    low, high = np.log(np.maximum(SCALES, least))
    scale = np.exp(rng.uniform(low, high))
    seen = np.array(size) / scale
    y, x = rng.uniform(0, np.maximum(np.array(view_hw) - seen, 0))
    return np.array([[scale, 0, -scale * x], [0, scale, -scale * y]])


def cut(array: Array, window: FloatArray, size: tuple[int, int], *, smooth: bool) -> Array:
    """Resample [H, W] or [H, W, C] into the window: linearly, or to the nearest pixel."""
    flags = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return cv2.warpAffine(array, window, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def taken_alike(rng: np.random.Generator, *images: Array) -> list[Array]:
    """Develop all images in one random way, then each a little differently."""
    seed = int(rng.integers(2**31))
    alike = [random_appearance(np.random.default_rng(seed), image, 0.6) for image in images]
    return list(some_grey(rng, *(second_look(rng, image) for image in alike)))


def rendered_stereo_example(
    rng: np.random.Generator, views: RenderedViews, size: tuple[int, int]
) -> Sample:
    """A stereo_example (see dense_batches) of the rendered street."""
    view = views.draw(rng)
    window = draw_window(rng, view.left.shape[:2], size)
    left, right = taken_alike(
        rng, *(cut(image, window, size, smooth=True) for image in (view.left, view.right))
    )
    disparity = cut(view.disparity_px.astype(np.float32), window, size, smooth=False)
    occluded = cut(view.occluded.astype(np.uint8), window, size, smooth=False) > 0
    disparity = disparity * np.float32(window[0, 0])
    # Cropping alike moves the left edge: what lies beyond it is occluded too.
    occluded |= disparity > np.arange(size[1])
    return {
        'left': left, 'right': right, 'disparity_px': disparity[None],
        'weight': np.where(occluded, OCCLUDED_WEIGHT, 1)[None].astype(np.float32),
    }


def rendered_motion_example(
    rng: np.random.Generator, views: RenderedViews, size: tuple[int, int]
) -> Sample:
    """A motion_example (see dense_batches) of the rendered street."""
    view = views.draw(rng)
    window = draw_window(rng, view.left.shape[:2], size)
    older, newest = taken_alike(
        rng, *(cut(image, window, size, smooth=True) for image in (view.older, view.left))
    )
    flow = cut(view.flow_px.astype(np.float32), window, size, smooth=False)
    flow = flow * np.float32(window[0, 0])
    occluded = cut(view.flow_occluded.astype(np.uint8), window, size, smooth=False) > 0
    known = np.isfinite(flow).all(axis=2)
    weight = np.where(occluded, OCCLUDED_WEIGHT, 1) * known
    return {
        'image0': older, 'image1': newest,
        'flow_px': np.where(known[..., None], flow, 0).transpose(2, 0, 1).copy(),
        'weight': weight[None].astype(np.float32),
    }


def rendered_depth_example(
    rng: np.random.Generator, views: RenderedViews, size: tuple[int, int]
) -> Sample:
    """A depth_example (see dense_batches) of the rendered street."""
    view = views.draw(rng)
    window = draw_window(rng, view.left.shape[:2], size)
    (image,) = taken_alike(rng, cut(view.left, window, size, smooth=True))
    depth_m = cut(np.nan_to_num(view.depth_m, nan=1e6), window, size, smooth=False)
    same_lens = depth_m * (FOCAL_PX / (view.k[0, 0] * window[0, 0]))
    return {
        'image': image,
        'log_depth': np.log(np.clip(same_lens, 0.5, SKY_M))[None].astype(np.float32),
    }
