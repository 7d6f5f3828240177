# SPDX-License-Identifier: Apache-2.0
"""Three frames in a row of a rendered drive: what depth and motion are learned from unseen."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.simulation.clips import Clip, read_clip, rendered_clips, write_clip
from perception_nodes.simulation.filling import fill_cache
from perception_nodes.training.augment import colour_matrix, tone_curve
from perception_nodes.training.dense_batches import Sample, some_grey
from perception_nodes.training.rendered_batches import FOLDER
from perception_nodes.types import Array

FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])


def kept_clips(count: int) -> list[Clip]:
    """Return the first clips of random streets; those that are missing are rendered (4 s each).

    They lie in the folder ``clips`` beside the rendered views.
    """
    folder = Path(os.environ.get(FOLDER, 'runs/rendered')) / 'clips'
    fill_cache(folder, partial(rendered_clips, 1), count, workers=cv2.getNumThreads(), block=1,
               write=write_clip)
    return [read_clip(folder / f'{number:06d}.npz') for number in range(count)]


def triplet_example(rng: np.random.Generator, clips: Sequence[Clip], strength: float) -> Sample:
    """Image, before, after, k [3, 3]; for the evaluation depth_m [1, H, W] (NaN = sky) and truth.

    The truth is float32 [2, 4, 4], from the camera's frame at ``image`` into those at ``before``
    and ``after``. A pass in four is driven backwards, every other one in the flip; all three
    images are developed alike, for what they show must stay comparable.

    Parameters
    ----------
    strength : of the random development, 0 = as they are (then nothing is flipped either).
    """
    clip = clips[int(rng.integers(len(clips)))]
    at = int(rng.integers(1, len(clip.images) - 1))
    order = [at, at - 1, at + 1]
    if strength > 0 and rng.random() < 0.25:
        order = [at, at + 1, at - 1]
    camera_from_world = np.linalg.inv(clip.world_from_camera[order[1:]])
    others_from_image = camera_from_world @ clip.world_from_camera[at]
    images: Sequence[Array] = [clip.images[index] for index in order]
    depth_m, k = clip.depth_m[at], clip.k.copy()
    if strength > 0:
        colours, curve = colour_matrix(rng, strength), tone_curve(rng, strength)
        images = [cv2.LUT(cv2.transform(image, colours), curve) for image in images]
        images = some_grey(rng, *images)
        if rng.random() < 0.5:
            images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
            depth_m = depth_m[:, ::-1]
            k[0, 2] = depth_m.shape[1] - 1 - k[0, 2]
            others_from_image = FLIP @ others_from_image @ FLIP
    return {
        'image': images[0], 'before': images[1], 'after': images[2],
        'k': k.astype(np.float32), 'depth_m': depth_m[None].astype(np.float32),
        'others_from_image': others_from_image.astype(np.float32),
    }
