# SPDX-License-Identifier: Apache-2.0
"""A recorded stereo drive as pairs and as short clips: what depth is learned from unsupervised."""

import cv2
import numpy as np

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.samples import DriveFrame
from perception_nodes.simulation.clips import Clip
from perception_nodes.training.dense_batches import Sample
from perception_nodes.training.recorded_depth import in_colour
from perception_nodes.training.rendered_batches import taken_alike
from perception_nodes.types import Array, FloatArray

CLIP_SIZE, PAIR_SIZE = (416, 128), (512, 160)
"""Width and height of the whole images, resized."""
CLIP_FRAMES = 12

Pair = tuple[Array, Array]


def drive_pairs(drive: KittiDrive) -> list[Pair]:
    """Left and right images, uint8 [H, W, 3], whole and resized to PAIR_SIZE."""
    return [(_resized(frame.left.data, PAIR_SIZE), _resized(frame.right.data, PAIR_SIZE))
            for frame in drive]  # fmt: skip


def pair_example(rng: np.random.Generator, pairs: list[Pair]) -> Sample:
    """A pair, developed alike; half of them flipped, which makes the right image the left one."""
    left, right = pairs[int(rng.integers(len(pairs)))]
    if rng.random() < 0.5:
        left, right = (np.ascontiguousarray(image[:, ::-1]) for image in (right, left))
    left, right = taken_alike(rng, left, right)
    return {'left': left, 'right': right}


def drive_clips(drive: KittiDrive) -> list[Clip]:
    """Clips of 3 to CLIP_FRAMES frames of a drive that has gaps; depth is NaN without a scan."""
    clips, frames = [], list[DriveFrame]()
    for frame in drive:
        follows = frames and int(frame.name) == int(frames[-1].name) + 1
        if frames and (not follows or len(frames) == CLIP_FRAMES):
            clips.append(frames)
            # The next clip starts with the last two frames of this one: no triplet is lost.
            frames = frames[-2:] if follows else []
        frames.append(frame)
    return [_clip(found) for found in (*clips, frames) if len(found) >= 3]


def clips_around_scans(drive: KittiDrive) -> list[Clip]:
    """Clips of three frames of which the middle one has a scan."""
    names = [int(entry.name) for entry in drive.entries]
    middle = [
        number for number in drive.with_depth()
        if 0 < number < len(names) - 1 and names[number + 1] - names[number - 1] == 2
    ]
    return [_clip(list(drive[number - 1 : number + 2])) for number in middle]


def _clip(frames: list[DriveFrame]) -> Clip:
    width, height = CLIP_SIZE
    camera = frames[0].rig.left.resized(width, height)
    return Clip(
        np.stack([_resized(frame.left.data, CLIP_SIZE) for frame in frames]),
        np.stack([_resized_depth(frame) for frame in frames]).astype(np.float16),
        np.stack([frame.world_from_left for frame in frames]), camera.rectified_k,
    )


def _resized(image: Array, size: tuple[int, int]) -> Array:
    return in_colour(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _resized_depth(frame: DriveFrame) -> FloatArray:
    if frame.depth_m is None:
        return np.full(CLIP_SIZE[::-1], np.nan, np.float32)
    return cv2.resize(frame.depth_m, CLIP_SIZE, interpolation=cv2.INTER_NEAREST)
