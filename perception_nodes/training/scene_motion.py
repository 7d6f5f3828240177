# SPDX-License-Identifier: Apache-2.0
"""How a folded scene moves between two frames: the camera's motion, or none of the kind."""

import numpy as np

from perception_nodes.training.layered_scene import Folded
from perception_nodes.types import Array, FloatArray


def scene_motion(rng: np.random.Generator, scene: Folded) -> FloatArray:
    """Draw a motion, float32 [H, W, 2] px: each pixel p was at ``p - flow`` in the older image.

    Two thirds of the scenes are driven through, one third is shifted, turned and zoomed like a
    hand-held camera; pieces move by themselves in both. Slow motion is as frequent as fast.
    """
    height, width = scene.rows.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    slow = np.exp(rng.uniform(np.log(0.06), 0.0))
    if rng.random() < 0.67:
        flow = _driven(rng, scene, x, y, slow)
    else:
        flow = _turned(rng, x - width / 2, y - height / 2, slow * 0.06 * width)
    for index in range(1, int(scene.piece.max()) + 1):
        mask = scene.piece == index
        if mask.any() and rng.random() < 0.7:
            flow[mask] += _own_motion(rng, x[mask], y[mask], slow, width)
    return flow.astype(np.float32)


def _driven(
    rng: np.random.Generator, scene: Folded, x: Array, y: Array, slow: float
) -> FloatArray:
    """Motion of a camera that drives; lengths are in heights of the camera above the ground."""
    width = scene.rows.shape[1]
    focal = width * np.exp(rng.normal(0, 0.2))
    centre = np.array([width / 2 + rng.normal(0, 0.1) * width, scene.horizon])
    forward, aside, up = rng.uniform(-0.2, 1.0), rng.normal(0, 0.06), rng.normal(0, 0.03)
    older_from_newest = slow * np.array([aside, up, forward])
    pitch, yaw, roll = slow * rng.normal(0, [0.008, 0.025, 0.008])
    ray = np.stack([(x - centre[0]) / focal, (y - centre[1]) / focal, np.ones_like(x)], -1)
    turn = np.array([[1, -roll, yaw], [roll, 1, -pitch], [-yaw, pitch, 1]])
    older = ray @ turn.T + (scene.rows / focal)[..., None] * older_from_newest
    older[..., 2] = np.maximum(older[..., 2], 0.2)
    at = older[..., :2] / older[..., 2:] * focal + centre
    return np.stack([x, y], -1) - at


def _turned(rng: np.random.Generator, x: Array, y: Array, reach_px: float) -> FloatArray:
    """Motion of a camera in the hand: shift, roll, zoom and shear of the whole image."""
    linear = rng.normal(0, 0.02, (2, 2)) * np.minimum(1.0, reach_px / 10)
    shift = rng.normal(0, reach_px, 2)
    return np.stack([x, y], -1) @ linear.T + shift


def _own_motion(
    rng: np.random.Generator, x: Array, y: Array, slow: float, width: int
) -> FloatArray:
    """Motion that a piece has on top of the scene's, float64 [N, 2] px."""
    shift = slow * rng.normal(0, 0.04 * width, 2)
    linear = slow * rng.normal(0, 0.03, (2, 2))
    return np.stack([x - x.mean(), y - y.mean()], -1) @ linear.T + shift
