# SPDX-License-Identifier: Apache-2.0
"""Stereo, epipolar geometry and warps on scenes whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_nodes.geometry import epipolar, stereo, warp
from perception_nodes.geometry.camera import project_points
from perception_nodes.geometry.se3 import exp, inverse, transform_points
from perception_nodes.types import PerceptionError

K = np.array([[100.0, 0.0, 31.5], [0.0, 110.0, 23.5], [0.0, 0.0, 1.0]])
POSE = exp(np.array([0.4, -0.1, 0.2, 0.05, -0.08, 0.03]))


@given(st.floats(0.5, 200.0), st.floats(0.01, 2.0), st.floats(50, 2000), st.floats(0.05, 2.0))
def test_depth_and_sigma_from_disparity(
    disparity: float, sigma: float, focal: float, baseline: float
) -> None:
    depth, depth_sigma = stereo.depth_from_disparity(
        np.array([disparity]), np.array([sigma]), focal, baseline
    )
    assert depth[0] == pytest.approx(focal * baseline / disparity, rel=1e-5)
    slope = focal * baseline / disparity**2
    assert depth_sigma[0] == pytest.approx(slope * sigma, rel=1e-5)
    back = stereo.disparity_from_depth(depth, focal, baseline)
    assert back[0] == pytest.approx(disparity, rel=1e-5)


def test_sigma_propagation_matches_sampling() -> None:
    """First order holds while sigma is a small part of the disparity."""
    disparity = 20.0 + 0.2 * np.random.default_rng(0).normal(size=200_000)
    depth, _ = stereo.depth_from_disparity(disparity, disparity * 0, 700.0, 0.5)
    _, sigma = stereo.depth_from_disparity(np.array([20.0]), np.array([0.2]), 700.0, 0.5)
    assert np.std(depth) == pytest.approx(sigma[0], rel=0.01)


def test_invalid_disparity_is_nan_depth() -> None:
    disparity = np.array([0.0, -1.0, np.nan, 2.0], np.float32)
    depth, sigma = stereo.depth_from_disparity(disparity, np.ones(4), 10.0, 1.0)
    assert np.isnan(depth).tolist() == np.isnan(sigma).tolist() == [True, True, True, False]
    assert depth.dtype == sigma.dtype == np.float32


def test_a_rig_without_baseline_is_refused() -> None:
    with pytest.raises(PerceptionError, match='must be positive'):
        stereo.depth_from_disparity(np.ones(1), np.ones(1), 100.0, 0.0)


def test_points_project_back_to_their_pixels() -> None:
    depth = np.random.default_rng(1).uniform(1.0, 50.0, (48, 64)).astype(np.float32)
    depth[3, 5] = np.nan
    points = stereo.points_from_depth(depth, K)
    pixels = project_points(points, K)
    valid = np.isfinite(depth)
    np.testing.assert_allclose(pixels[valid], warp.pixel_grid(48, 64)[valid], atol=1e-4)
    assert np.isnan(points[3, 5]).all()


def make_matches(count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in front of both cameras and their pixels."""
    generator = np.random.default_rng(2)
    points0 = generator.uniform([-2, -2, 4], [2, 2, 12], (count, 3))
    return points0, project_points(points0, K), project_points(
        transform_points(POSE, points0), K
    )


def test_true_matches_lie_on_their_epipolar_lines() -> None:
    _, xy0, xy1 = make_matches()
    fundamental = epipolar.fundamental_from_pose(K, K, POSE)
    assert epipolar.sampson_distance(fundamental, xy0, xy1).max() < 1e-9


def test_sampson_distance_of_a_sideways_camera_is_the_row_difference_over_root_two() -> None:
    """Rectified pair: rows must agree; the correction is shared by both images."""
    sideways = exp(np.array([1.0, 0, 0, 0, 0, 0]))
    square = np.diag([100.0, 100.0, 1.0])
    fundamental = epipolar.fundamental_from_pose(square, square, sideways)
    distance = epipolar.sampson_distance(fundamental, np.array([3.0, 7.0]), np.array([9.0, 9.0]))
    assert distance == pytest.approx(2.0 / np.sqrt(2.0))


def test_triangulation_is_exact_and_knows_behind_and_parallel() -> None:
    points0, xy0, xy1 = make_matches()
    projection0 = K @ np.eye(3, 4)
    projection1 = K @ POSE[:3]
    np.testing.assert_allclose(
        epipolar.triangulate(projection0, projection1, xy0, xy1), points0, atol=1e-6
    )
    sideways = K @ np.hstack([np.eye(3), [[-1.0], [0], [0]]])
    parallel = epipolar.triangulate(
        projection0, sideways, np.array([[10.0, 5.0]]), np.array([[10.0, 5.0]])
    )
    behind = epipolar.triangulate(
        projection0, sideways, np.array([[10.0, 5.0]]), np.array([[30.0, 5.0]])
    )
    assert np.isnan(parallel).all()
    assert np.isnan(behind).all()


def test_sampling_between_pixels() -> None:
    image = np.array([[0.0, 10.0], [20.0, 30.0]])
    xy = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 1.0], [-0.1, 0.0], [0.0, 1.1], [np.nan, 0]])
    samples = warp.sample_bilinear(image, xy)
    np.testing.assert_allclose(samples[:3], [15.0, 10.0, 22.5])
    assert np.isnan(samples[3:]).all()


def test_sampling_spreads_nan_only_where_it_has_weight() -> None:
    image = np.array([[1.0, np.nan], [1.0, 1.0]])
    samples = warp.sample_bilinear(image, np.array([[0.0, 0.0], [0.0, 1.0], [0.5, 0.0]]))
    assert samples[:2].tolist() == [1.0, 1.0]
    assert np.isnan(samples[2])


def test_warp_by_flow_brings_the_older_image_to_the_newest_grid() -> None:
    """An image that moved 3 px to the right and 1 px down since the older image."""
    older = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    newer = np.roll(older, (1, 3), axis=(0, 1))
    flow = np.full((20, 30, 2), (3.0, 1.0), np.float32)
    warped = warp.warp_by_flow(older, flow)
    assert np.array_equal(warped[1:, 3:], newer[1:, 3:])
    assert np.isnan(warped[0]).all()
    assert np.isnan(warped[:, :3]).all()


def test_flow_of_a_forward_drive() -> None:
    """Driving 1 m towards a wall 10 m away: points move out from the centre by 1/11."""
    flow = warp.flow_from_depth_and_motion(
        np.full((48, 64), 10.0, np.float32), K, exp(np.array([0, 0, 1.0, 0, 0, 0]))
    )
    centre = np.array([31.5, 23.5])
    np.testing.assert_allclose(flow, (warp.pixel_grid(48, 64) - centre) / 11.0, atol=1e-4)


def test_flow_of_a_motion_finds_the_scene_again() -> None:
    """The pixel that flow points back to sees the same point from the older camera."""
    depth1 = np.random.default_rng(5).uniform(5.0, 20.0, (48, 64)).astype(np.float32)
    flow = warp.flow_from_depth_and_motion(depth1, K, inverse(POSE))
    points0 = transform_points(inverse(POSE), stereo.points_from_depth(depth1, K).astype(float))
    older = warp.pixel_grid(48, 64) - flow
    np.testing.assert_allclose(older, project_points(points0, K), atol=1e-3)


def test_forward_backward_check_finds_the_occluded_pixels() -> None:
    """Everything moves by (2, 0); one pixel claims to have moved otherwise."""
    flow = np.full((10, 20, 2), (2.0, 0.0), np.float32)
    flow[4, 9] = (-3.0, 0.0)
    good = warp.forward_backward_consistent(flow, np.full((10, 20, 2), (-2.0, 0), np.float32))
    assert not good[4, 9]
    assert not good[:, :2].any()
    good[4, 9] = True
    assert good[:, 2:].all()
