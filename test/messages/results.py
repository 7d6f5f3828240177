# SPDX-License-Identifier: Apache-2.0
"""One result of every task, small and with invalid pixels, whose numbers are all different."""

from typing import Any

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.types import (
    Camera,
    Depth,
    Flow,
    Image,
    Odometry,
    PlaceMatch,
    PlaceMatches,
    Segmentation,
)

HEIGHT, WIDTH = 6, 8
STAMP_NS = 1_700_000_000_123_456_789


def image() -> Image:
    """RGB noise of the results' size."""
    data = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image(data, STAMP_NS, 'cam')


def maps(count: int, seed: int = 0) -> list[np.ndarray]:
    """Positive float32 maps with a NaN in the first pixel."""
    rng = np.random.default_rng(seed)
    drawn = [rng.uniform(0.1, 1.0, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(count)]
    for entry in drawn:
        entry[0, 0] = np.nan
    return drawn


def covariance(seed: int) -> np.ndarray:
    """A full positive definite [6, 6]."""
    root = np.random.default_rng(seed).normal(size=(6, 6))
    return root @ root.T


def results() -> dict[str, Any]:
    """One result a task."""
    confidence, entropy, mutual = maps(3)
    confidence[0, 0], entropy[0, 0], mutual[0, 0] = 1.0, 0.0, 0.0
    labels = np.random.default_rng(2).integers(0, 11, (HEIGHT, WIDTH), dtype=np.uint8)
    labels[1, 1] = 255
    depth, sigma, disparity, disparity_sigma = maps(4)
    camera = Camera.pinhole(WIDTH, HEIGHT, 10.0, 11.0, 3.5, 2.5, frame_id='cam')
    odom_from_base = se3.exp(np.array([1.0, -2.0, 3.0, 0.1, 0.2, -0.3]))
    place = PlaceMatch(
        7, STAMP_NS - 10**10, se3.exp(np.array([5.0, 6.0, 7.0, 0.0, 0.0, 0.5])), 0.9, 0.8, 33,
        se3.exp(np.array([0.1, 0.2, 0.3, 0.0, 0.1, 0.0])), covariance(3),
    )
    return {
        'segmentation': Segmentation(
            STAMP_NS, 'cam', labels, confidence, entropy, mutual, ('a', 'b')
        ),
        'stereo_depth': Depth(
            STAMP_NS, 'cam', camera, depth, sigma, disparity, disparity_sigma, 0.25
        ),
        'mono_depth': Depth(STAMP_NS, 'cam', camera, depth, sigma),
        'optical_flow': Flow(
            STAMP_NS, 'cam', STAMP_NS - 10**8, np.stack(maps(2, 5), axis=-1), maps(1, 6)[0]
        ),
        'visual_odometry': Odometry(
            STAMP_NS, 'odom', 'base_link', odom_from_base, covariance(1), np.arange(6.0),
            covariance(2), False, 'too few features', 12, 40,
        ),
        'place_recognition': PlaceMatches(
            STAMP_NS, 'cam',
            (PlaceMatch(3, STAMP_NS - 10**9, np.eye(4), 0.95, 0.5), place),
        ),
    }
