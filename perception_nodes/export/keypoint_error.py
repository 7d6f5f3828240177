# SPDX-License-Identifier: Apache-2.0
"""How exact keypoints are and how often they match, measured under known homographies."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.export.release import Calibration
from perception_nodes.pipelines.visual_odometry.learned import mutual_neighbours
from perception_nodes.training.augment import random_appearance
from perception_nodes.training.feature_batches import moved, random_view, view
from perception_nodes.types import Array, FloatArray

IMAGES = 24
SIZE = (288, 384)
RIGHT_PX = 3.0
LEAST_SIMILARITY = 0.6


def measure_keypoints(graph: nn.Module, data_root: Path) -> Calibration:
    """Measure on CamVid val: sigma_px, repeatability and matching precision, 3 px.

    sigma_px is of one keypoint in each axis: the robust spread of right matches over sqrt(2),
    because both views' keypoints err.
    """
    rng = np.random.default_rng(99)
    spread, repeated, right = [], [], []
    scenes = CamVid(data_root / 'camvid', 'val')
    for index in np.linspace(0, len(scenes) - 1, IMAGES).astype(int):
        scene = scenes[int(index)].image.data
        homographies = [random_view(rng, scene.shape[:2], SIZE) for _ in range(2)]
        one_from_zero = homographies[1] @ np.linalg.inv(homographies[0])
        found = [
            keypoints_of(graph, random_appearance(rng, view(scene, homography, SIZE)))
            for homography in homographies
        ]
        (points0, descriptors0), (points1, descriptors1) = found
        there = moved(points0, one_from_zero)
        seen = ((there >= 4) & (there < [SIZE[1] - 4, SIZE[0] - 4])).all(axis=1)
        apart = np.linalg.norm(there[:, None] - points1[None], axis=2)
        repeated.append((apart.min(axis=1) < RIGHT_PX)[seen].mean())
        i, j = mutual_neighbours(descriptors0[seen] @ descriptors1.T, LEAST_SIMILARITY)
        error = points1[j] - there[seen][i]
        good = np.linalg.norm(error, axis=1) < RIGHT_PX
        right.append(good.mean())
        spread.append(np.abs(error[good]).ravel())
    return {
        'sigma_px': round(float(1.4826 * np.median(np.concatenate(spread)) / np.sqrt(2)), 3),
        'repeatability': round(float(np.mean(repeated)), 4),
        'matching_precision': round(float(np.mean(right)), 4),
        'fitted_on': 'CamVid val under random homographies and light, 500 keypoints',
    }


def keypoints_of(graph: nn.Module, image: Array, most: int = 500) -> tuple[FloatArray, FloatArray]:
    """Best keypoints [N, 2] and descriptors [N, D] of an image."""
    with torch.inference_mode():
        points, scores, descriptors = graph(torch.from_numpy(image)[None])
    there = (scores[0] > 0).numpy()
    return points[0].numpy()[there][:most], descriptors[0].numpy()[there][:most]
