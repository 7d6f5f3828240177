# SPDX-License-Identifier: Apache-2.0
"""A drive meets nobody: no vehicle, rider or person is ever where the ego vehicle is."""

import cv2
import numpy as np
import pytest

from perception_nodes.simulation.drive import (
    Course,
    DriveConfig,
    course_of_drive,
    world_of_drive,
)
from perception_nodes.simulation.scene.quads import SOLID
from perception_nodes.simulation.scene.right_of_way import in_the_way

FRAMES = 60
# Bonnet to boot, door to door, about the middle: smaller than what the drive keeps clear.
CAR = np.array([[-2.1, -0.85], [2.1, -0.85], [2.1, 0.85], [-2.1, 0.85]])


def run_into(course, step_s=0.05):
    """Instances whose outline overlaps the car's at any time, found instance by instance."""
    traffic = np.array([q.order == SOLID and q.label in (8, 9, 10) for q in course.world.quads])
    instances = np.array([q.instance for q in course.world.quads])
    found = set()
    for time_s in np.arange(0, FRAMES / course.config.rate_hz, step_s):
        corners = course.world.corners_at(time_s)[..., :2]
        pose = course.world_from_base(time_s)
        car = (CAR @ pose[:2, :2].T + pose[:2, 3]).astype(np.float32)
        near = np.linalg.norm(corners.mean(1) - pose[:2, 3], axis=1) < 12.0
        for instance in np.unique(instances[traffic & near]):
            ring = cv2.convexHull(corners[instances == instance].reshape(-1, 2).astype(np.float32))
            if cv2.intersectConvexConvex(car, ring[:, 0])[0] > 0:
                found.add(int(instance))
    return found


@pytest.mark.parametrize('seed', [1, 2, 5])
def test_nothing_is_driven_into(seed):
    config, phases = DriveConfig(), np.random.default_rng([seed, 211]).uniform(0, 2 * np.pi, 4)
    world = world_of_drive(seed, FRAMES, config)
    assert run_into(Course(world, config, phases), 0.1)  # the street as it is would not do
    course = course_of_drive(world, FRAMES, config, phases)
    assert not run_into(course)
    taken = {q.instance for q in world.quads} - {q.instance for q in course.world.quads}
    assert 0 < len(taken) < 10


def test_a_fast_drive_does_not_run_into_who_drives_ahead():
    config = DriveConfig(speed_mps=20.0)
    course = course_of_drive(world_of_drive(1, FRAMES, config), FRAMES, config, np.zeros(4))
    assert not run_into(course)


def test_an_empty_place_is_in_nobodys_way(world):
    far = np.eye(4)
    far[:2, 3] = 1e4
    assert in_the_way(world, far[None], np.zeros(1)) == set()


def test_a_street_without_an_object_is_otherwise_the_same(world):
    gone = world.quads[0].instance
    fewer = world.without({gone})
    assert gone not in {q.instance for q in fewer.quads}
    kept = np.array([q.instance != gone for q in world.quads])
    np.testing.assert_array_equal(fewer.corners_at(1.0), world.corners_at(1.0)[kept])
