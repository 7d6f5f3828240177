# SPDX-License-Identifier: Apache-2.0
"""Landmarks that rounding makes impossible cost their information, not the frame."""

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.adjustment import adjust
from perception_nodes.pipelines.visual_odometry.motion import (
    Sightings,
    refine_motion,
    whitener,
)
from perception_nodes.pipelines.visual_odometry.projection import StereoProjection
from perception_nodes.pipelines.visual_odometry.rig_offset import RigOffset
from perception_nodes.pipelines.visual_odometry.window import Window

PROJECTION = StereoProjection(150.0, 150.0, 127.5, 63.5, bf=1.0)


def sightings(count: int = 80, in_plane: int = 8, seed: int = 0) -> tuple[Sightings, np.ndarray]:
    """Points seen after a step, some of which the step brings almost into the camera's plane."""
    rng = np.random.default_rng(seed)
    motion = se3.exp(np.array([0.1, 0.0, -2.0, 0.0, 0.02, 0.0]))
    depth = rng.uniform(5, 30, count)
    depth[:in_plane] = 2.0 + 1e-6 * rng.uniform(0.5, 2, in_plane)
    xy = rng.uniform(-0.6, 0.6, (count, 2)) * [1, 0.4]
    landmarks = np.column_stack([xy, 1 / depth])
    measured = PROJECTION.predict(landmarks, motion)[0] + rng.normal(0, 0.3, (count, 3))
    measured[:in_plane] = rng.uniform(0, 100, (in_plane, 3))  # wrong matches, as they happen
    measured[:, 2] = np.nan
    spread = np.zeros((count, 3, 3))
    spread[:, 2, 2] = (0.1 / depth) ** 2
    pixel = np.tile(np.diag([1.0, 1.0, 1.0]), (count, 1, 1))
    return Sightings(landmarks, spread, measured, pixel, np.ones(count)), motion


@pytest.mark.parametrize('seed', range(5))
def test_points_in_the_cameras_plane_do_not_stop_the_refinement(seed: int) -> None:
    seen, motion = sightings(seed=seed)
    found = refine_motion(seen, PROJECTION, motion)
    assert found is not None
    assert np.abs(se3.log(found.camera_from_reference @ se3.inverse(motion))).max() < 0.1
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_a_covariance_that_is_not_finite_loses_its_landmark_only() -> None:
    seen, motion = sightings(in_plane=0)
    seen.covariance_px2[3] = np.inf
    seen.landmark_covariance[4] = np.nan
    found = refine_motion(seen, PROJECTION, motion)
    assert found is not None and not found.inliers[[3, 4]].any() and found.inliers.sum() > 60


def test_whitening_undoes_a_covariance_and_takes_indefinite_ones() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 3, 3))
    covariance = half @ half.transpose(0, 2, 1)
    root = whitener(covariance)
    assert np.allclose(root @ covariance @ root.transpose(0, 2, 1), np.eye(3), atol=1e-6)
    ray = np.array([1e9, 2e9, 3e9])
    flat = np.outer(ray, ray)[None] + np.diag([1.0, 1.0, 1.0])
    assert np.isfinite(whitener(np.concatenate([flat, -1e-20 * np.eye(3)[None]]))).all()


def test_a_keyframe_without_sightings_does_not_stop_the_adjustment() -> None:
    window = Window(4, PROJECTION, RigOffset(0.0, PROJECTION))
    rng = np.random.default_rng(0)
    landmarks = np.column_stack([rng.uniform(-0.5, 0.5, (30, 2)), rng.uniform(0.05, 0.2, 30)])
    spread = np.tile(0.1 * np.eye(3), (30, 1, 1))
    nothing = np.zeros(0, dtype=np.intp)
    window.add_keyframe(np.eye(4), np.zeros((6, 6)), nothing, np.zeros((0, 3)), spread[:0])
    index = window.add_landmarks(PROJECTION.measurements(landmarks), spread, np.ones(30))
    step = se3.exp(np.array([0, 0, 0.3, 0, 0, 0.0]))
    window.add_keyframe(step, np.zeros((6, 6)), nothing, np.zeros((0, 3)), spread[:0])
    seen = PROJECTION.predict(landmarks, se3.inverse(step @ step))[0]
    window.add_keyframe(step @ step, np.zeros((6, 6)), index, seen, spread)
    adjust(window)
    assert all(np.isfinite(keyframe.covariance).all() for keyframe in window.keyframes)
    assert np.allclose(window.keyframes[2].odom_from_camera, step @ step, atol=1e-3)
