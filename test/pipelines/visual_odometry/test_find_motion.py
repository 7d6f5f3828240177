# SPDX-License-Identifier: Apache-2.0
"""Which motion is taken when features support two."""

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.motion import Reach, Sightings, find_motion
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection

PROJECTION = StereoProjection(300.0, 300.0, 159.5, 99.5, bf=90.0)
STANDING = np.eye(4)
DRIVEN = se3.exp(np.array([0.4, 0.0, 0.1, 0.0, 0.0, 0.0]))


def scene(standing: int, driven: int, seed: int = 0) -> Sightings:
    """Landmarks that stand still and others that move together."""
    rng = np.random.default_rng(seed)
    count = standing + driven
    landmarks = np.column_stack([
        rng.uniform(-0.5, 0.5, count), rng.uniform(-0.3, 0.3, count),
        rng.uniform(0.05, 0.3, count),
    ])
    measured = np.concatenate([
        PROJECTION.predict(landmarks[:standing], STANDING)[0],
        PROJECTION.predict(landmarks[standing:], DRIVEN)[0],
    ]) + rng.normal(0, 0.2, (count, 3))
    covariance = np.tile(0.04 * np.eye(3), (count, 1, 1))
    return Sightings(landmarks, np.zeros((count, 3, 3)), measured, covariance, np.ones(count))


def distance(found, motion) -> float:
    assert found is not None
    return float(np.linalg.norm((found.camera_from_reference @ se3.inverse(motion))[:3, 3]))


@pytest.mark.parametrize('seed', range(3))
def test_the_majority_wins_only_if_a_vehicle_could_move_so(seed: int) -> None:
    seen = scene(40, 60, seed)
    assert distance(find_motion(seen, PROJECTION, STANDING), DRIVEN) < 0.02
    near = find_motion(seen, PROJECTION, STANDING, reach=Reach(0.15, 0.2))
    assert distance(near, STANDING) < 0.02
    assert near.inliers[:40].all() and not near.inliers[40:].any()
    assert distance(find_motion(seen, PROJECTION, STANDING, reach=Reach(1.0, 0.2)), DRIVEN) < 0.02


def test_what_hardly_anything_supports_is_not_taken_for_being_near() -> None:
    seen = scene(10, 90)
    found = find_motion(seen, PROJECTION, STANDING, reach=Reach(0.15, 0.2))
    assert distance(found, DRIVEN) < 0.02
