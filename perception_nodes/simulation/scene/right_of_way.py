# SPDX-License-Identifier: Apache-2.0
"""Collisions: vehicles, riders and people that are removed because the camera would hit them."""

import cv2
import numpy as np

from perception_nodes.simulation.scene.quads import SOLID
from perception_nodes.simulation.scene.street_world import CLASSES, StreetWorld
from perception_nodes.types import FloatArray

__all__ = ['EGO_M', 'in_the_way']

EGO_M = (4.4, 1.8)
"""Length and width of the vehicle that drives, about the origin of its base."""
_MARGIN_M = 0.25
_TRAFFIC = tuple(CLASSES.index(name) for name in ('Car', 'Pedestrian', 'Bicyclist'))
# Nothing whose middle is farther away reaches the vehicle: half a bus and half the vehicle.
_NEAR_M = 9.0


def in_the_way(
    world: StreetWorld, world_from_base: FloatArray, times_s: FloatArray,
    margin_m: float = _MARGIN_M,
) -> set[int]:
    """Find the traffic that a vehicle would meet.

    Parameters
    ----------
    world_from_base : float64 [N, 4, 4] where the vehicle is. times_s : float64 [N] when.
    margin_m : how near is too near.

    Returns
    -------
    Instances whose outline on the ground overlaps the vehicle's at one of these times.
    """
    traffic = np.array([
        quad.order == SOLID and quad.label in _TRAFFIC for quad in world.quads
    ], bool)
    instances = np.array([quad.instance for quad in world.quads])[traffic]
    long, wide = np.array(EGO_M) / 2 + margin_m
    outline = np.array([[-long, -wide], [long, -wide], [long, wide], [-long, wide]])
    met: set[int] = set()
    for pose, time_s in zip(world_from_base, times_s, strict=True):
        corners = world.corners_at(float(time_s))[traffic][..., :2]
        apart = np.linalg.norm(corners.mean(1) - pose[:2, 3], axis=1)
        vehicle = (outline @ pose[:2, :2].T + pose[:2, 3]).astype(np.float32)
        for instance in set(instances[apart < _NEAR_M].tolist()) - met:
            points = corners[instances == instance].reshape(-1, 2).astype(np.float32)
            if cv2.intersectConvexConvex(vehicle, cv2.convexHull(points)[:, 0])[0] > 0:
                met.add(instance)
    return met
