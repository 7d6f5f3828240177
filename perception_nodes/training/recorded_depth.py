# SPDX-License-Identifier: Apache-2.0
"""Recorded images whose depth is known in places: from stereo, LiDAR, a depth camera."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.networks.mono_depth_net import FOCAL_PX
from perception_nodes.training.augment import random_appearance
from perception_nodes.training.dense_batches import SKY_M, Draw, Sample, some_grey
from perception_nodes.training.rendered_batches import cut
from perception_nodes.training.stereo_labels import StereoLabels
from perception_nodes.types import Array, FloatArray, PerceptionError, StereoRig

FOCAL_RANGE_PX = (310.0, 560.0)
"""Focal lengths that images are resized to: those at the network's own size, and longer ones."""
SPREAD_PX = 9
BEHIND = np.float32(1.15)
PAIR_TOLERANCE_NS = 5_000_000


@dataclass(frozen=True)
class DepthView:
    """One image and the depth of some of its pixels.

    Attributes
    ----------
    image : uint8 [H, W, 3] or [H, W].
    depth_m : float16 [H, W] metres, 0 = not known.
    weight : float16 [H, W], what a pixel counts, 0..1.
    focal_px : horizontal focal length.
    """

    image: Array
    depth_m: FloatArray
    weight: FloatArray
    focal_px: float

    def __post_init__(self) -> None:
        for array in (self.depth_m, self.weight):
            if array.shape != self.image.shape[:2]:
                raise PerceptionError(
                    f'depth {array.shape} and image {self.image.shape[:2]} have different sizes'
                )


def view_of(image: Array, depth_m: FloatArray, focal_px: float) -> DepthView:
    """Make a view of depth float32 [H, W] with NaN where it is not known; all else counts 1."""
    depth = np.nan_to_num(depth_m).astype(np.float16)
    return DepthView(image, depth, (depth > 0).astype(np.float16), focal_px)


def drive_views(root: Path, labels: StereoLabels, split: str = 'fit') -> list[DepthView]:
    """Left images of a KITTI drive: labels of the pair, LiDAR where those are silent."""
    views = []
    for frame in KittiDrive(root, split):
        found = labels(f'drive_{frame.name}', frame.left, frame.right, frame.rig)
        view = labelled_view(frame.left.data, *found, frame.rig.focal_px)
        views.append(view if frame.depth_m is None else with_lidar(view, frame.depth_m))
    return views


def bag_views(path: Path, labels: StereoLabels) -> list[DepthView]:
    """Left images of a bag with rectified pairs, with the labels of the pair."""
    with open_bag(path) as bag:
        frames = BagFrames(bag, find_cameras(bag), PAIR_TOLERANCE_NS)
        return [
            labelled_view(
                frame.left.data,
                *labels(f'bag06_{number:03d}', frame.left, frame.right, frame.rig),
                frame.rig.focal_px,
            )
            for number, frame in enumerate(frames)
        ]


def labelled_view(
    image: Array, depth_m: FloatArray, weight: FloatArray, focal_px: float
) -> DepthView:
    """Make a view of depth and weight float32 [H, W], 0 where nothing is known."""
    return DepthView(image, depth_m.astype(np.float16), weight.astype(np.float16), focal_px)


def kitti_views(root: Path) -> list[DepthView]:
    """Left images of KITTI stereo 2015, in colour, with the depth of its ground truth."""
    return [
        view_of(pair.left.data, _depth(pair.disparity_px, pair.rig), pair.rig.focal_px)
        for pair in KittiStereo(root)
    ]


def office_views(root: Path, split: str = 'fit') -> list[DepthView]:
    """Images of the office with their registered depth."""
    return [
        view_of(frame.image.data, frame.depth_m, float(frame.camera.rectified_k[0, 0]))
        for frame in HololensOffice(root, split)
    ]


def with_lidar(view: DepthView, lidar_m: FloatArray) -> DepthView:
    """Add LiDAR points where nothing is known, unless something near them is well before them.

    A scanner sees past what hides a point from the camera: there its depth is the background's.
    """
    far = np.where(view.depth_m > 0, view.depth_m.astype(np.float32), np.float32(1e4))
    nearest = cv2.erode(far, np.ones((SPREAD_PX, SPREAD_PX), np.uint8))
    with np.errstate(invalid='ignore'):
        added = (view.depth_m == 0) & (lidar_m <= nearest * BEHIND)
    return DepthView(
        view.image, np.where(added, lidar_m, view.depth_m).astype(np.float16),
        np.where(added, 1, view.weight).astype(np.float16), view.focal_px,
    )


def view_example(
    rng: np.random.Generator, views: list[DepthView], size: tuple[int, int]
) -> Sample:
    """Draw a depth_example (see dense_batches) with weight [1, H, W], 0 where nothing is known.

    A view is resized, and its focal length with it: a random one of FOCAL_RANGE_PX that leaves the
    crop inside the image.
    """
    view = views[int(rng.integers(len(views)))]
    shape = view.image.shape[:2]
    least = max(side / full for side, full in zip(size, shape, strict=True))
    low, high = np.log(np.maximum(np.array(FOCAL_RANGE_PX) / view.focal_px, least))
    scale = np.exp(rng.uniform(low, high))
    stretch = np.exp(rng.normal(0, 0.03))
    scale_x, scale_y = max(scale * stretch, least), max(scale / stretch, least)
    y, x = rng.uniform(0, np.maximum(np.array(shape) - np.array(size) / [scale_y, scale_x], 0))
    window = np.array([[scale_x, 0, -scale_x * x], [0, scale_y, -scale_y * y]])
    image = cut(in_colour(view.image), window, size, smooth=True)
    depth = cut(view.depth_m.astype(np.float32), window, size, smooth=False)
    weight = cut(view.weight.astype(np.float32), window, size, smooth=False)
    if rng.random() < 0.5:
        image, depth, weight = (
            np.ascontiguousarray(array[:, ::-1]) for array in (image, depth, weight)
        )
    same_lens = depth * np.float32(FOCAL_PX / (view.focal_px * scale_x))
    (image,) = some_grey(rng, random_appearance(rng, image, 0.8))
    return {
        'image': image,
        'log_depth': np.log(np.clip(same_lens, 0.2, SKY_M))[None].astype(np.float32),
        'weight': (weight * (depth > 0))[None].astype(np.float32),
    }


def in_colour(image: Array) -> Array:
    """Repeat a grey image in three channels; one in colour stays."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image


def known_everywhere(rng: np.random.Generator, draw: Draw) -> Sample:
    """Draw an example that knows the depth of every pixel, and add the weight 1."""
    sample = draw(rng)
    return {**sample, 'weight': np.ones_like(sample['log_depth'])}


def _depth(disparity_px: FloatArray, rig: StereoRig) -> FloatArray:
    depth_m, _ = depth_from_disparity(disparity_px, disparity_px, rig.focal_px, rig.baseline_m)
    return depth_m
