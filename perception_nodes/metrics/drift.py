# SPDX-License-Identifier: Apache-2.0
"""Drift of a trajectory over segments of fixed length, as the KITTI odometry devkit measures it.

A. Geiger, P. Lenz, R. Urtasun, "Are we ready for autonomous driving?", CVPR 2012. The devkit
starts a segment at every tenth frame; here one starts at every frame.
"""

from collections.abc import Sequence

import numpy as np

from perception_nodes.geometry.se3 import inverse, rotation_angle_rad
from perception_nodes.types import FloatArray

__all__ = ['KITTI_SEGMENTS_M', 'segment_errors', 'segments_that_fit', 'travelled_m']

KITTI_SEGMENTS_M = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)


def segments_that_fit(path_m: float) -> tuple[float, ...]:
    """KITTI's segment lengths that the path holds; of a path below 100 m 1/8 to 7/8 of it."""
    fitting = tuple(length for length in KITTI_SEGMENTS_M if length <= path_m)
    return fitting or tuple(path_m * eighth / 8.0 for eighth in range(1, 8))


def travelled_m(poses: FloatArray) -> FloatArray:
    """Length of the path up to each of the poses [N, 4, 4], [N] metres."""
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def segment_errors(
    estimate: FloatArray, truth: FloatArray, lengths_m: Sequence[float]
) -> dict[float, FloatArray]:
    """Errors of all segments of each length that the true path holds.

    Parameters
    ----------
    estimate, truth : poses [N, 4, 4], each in its own world.

    Returns
    -------
    length to [M, 2]: translation error (m per m) and rotation error (rad per m).
    """
    travelled = travelled_m(truth)
    errors: dict[float, FloatArray] = {}
    for length in lengths_m:
        rows = []
        lasts = np.searchsorted(travelled, travelled + length * (1.0 - 1e-9))
        for first, last in enumerate(lasts):
            if last == len(travelled):
                break
            moved = inverse(estimate[first]) @ estimate[last]
            error = inverse(moved) @ (inverse(truth[first]) @ truth[last])
            rows.append((np.linalg.norm(error[:3, 3]), rotation_angle_rad(error)))
        if rows:
            errors[length] = np.array(rows) / length
    return errors
