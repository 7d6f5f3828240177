# SPDX-License-Identifier: Apache-2.0
"""Lens models against OpenCV and against their own inverse."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_nodes.geometry import camera as lens
from perception_nodes.geometry.se3 import so3_exp
from perception_nodes.geometry.warp import pixel_grid
from perception_nodes.types import Camera, PerceptionError

LENSES = {
    'plumb_bob': (-0.32, 0.11, 0.0012, -0.0023, 0.013),
    'rational_polynomial': (-0.28, 0.09, 0.001, -0.002, 0.011, 0.08, 0.02, 0.004),
    'equidistant': (0.09, -0.04, 0.012, -0.003),
}
K = np.array([[410.0, 0.0, 311.3], [0.0, 405.0, 247.9], [0.0, 0.0, 1.0]])
P = np.array([[380.0, 0, 320, 0], [0, 380, 240, 0], [0, 0, 1, 0]])


def make_camera(model: str, d: tuple[float, ...] | None = None) -> Camera:
    turn = so3_exp(np.array([0.02, -0.03, 0.01]))
    return Camera(640, 480, K, P, turn, LENSES[model] if d is None else d, model)


@pytest.mark.parametrize('model', LENSES)
def test_rectification_maps_are_those_of_opencv(model: str) -> None:
    camera = make_camera(model)
    reference = cv2.fisheye if model == 'equidistant' else cv2
    expected = reference.initUndistortRectifyMap(
        camera.k, np.array(camera.d), camera.r, camera.rectified_k, (640, 480), cv2.CV_32FC1
    )
    for ours, theirs in zip(lens.rectification_maps(camera), expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize('model', LENSES)
def test_undistort_points_undoes_the_maps(model: str) -> None:
    camera = make_camera(model)
    raw = np.stack(lens.rectification_maps(camera), axis=-1).astype(np.float64)
    back = lens.undistort_points(camera, raw)
    np.testing.assert_allclose(back, pixel_grid(480, 640), atol=2e-4)


def test_thin_prism_coefficients_are_those_of_opencv() -> None:
    d = (-0.2, 0.05, 0.001, -0.002, 0.01, 0.02, 0.01, 0.002, 0.003, -0.001, 0.002, 0.0005)
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    rays = np.concatenate([points, np.ones((50, 1))], axis=1)
    expected = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(d))[0][:, 0]
    np.testing.assert_allclose(lens.distort(points, d, 'rational_polynomial'), expected, atol=1e-9)


small = st.floats(-0.2, 0.2)
inside = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)).map(np.array)


@given(inside, st.tuples(small, st.floats(-0.05, 0.05), *[st.floats(-0.01, 0.01)] * 3))
def test_plumb_bob_round_trip(xy: np.ndarray, d: tuple[float, ...]) -> None:
    bent = lens.distort(xy, d, 'plumb_bob')
    np.testing.assert_allclose(lens.undistort(bent, d, 'plumb_bob'), xy, atol=1e-8)


@given(
    inside,
    st.tuples(small, *[st.floats(-0.05, 0.05)], *[st.floats(-0.01, 0.01)] * 3, small,
              *[st.floats(-0.05, 0.05)] * 2),
)  # fmt: skip
def test_rational_polynomial_round_trip(xy: np.ndarray, d: tuple[float, ...]) -> None:
    bent = lens.distort(xy, d, 'rational_polynomial')
    np.testing.assert_allclose(lens.undistort(bent, d, 'rational_polynomial'), xy, atol=1e-8)


@given(
    st.tuples(st.floats(-2.8, 2.8), st.floats(-2.8, 2.8)).map(np.array),
    # Small enough for the bent angle to grow with the angle: no two rays share a pixel.
    st.tuples(st.floats(-0.05, 0.05), st.floats(-0.02, 0.02), st.floats(-0.005, 0.005),
              st.floats(-0.002, 0.002)),
)  # fmt: skip
def test_equidistant_round_trip_up_to_wide_angles(xy: np.ndarray, d: tuple[float, ...]) -> None:
    bent = lens.distort(xy, d, 'equidistant')
    np.testing.assert_allclose(lens.undistort(bent, d, 'equidistant'), xy, rtol=1e-6, atol=1e-8)


def test_equidistant_without_coefficients_is_the_angle() -> None:
    bent = lens.distort(np.array([np.tan(1.2), 0.0]), (0.0, 0.0, 0.0, 0.0), 'equidistant')
    np.testing.assert_allclose(bent, [1.2, 0.0], atol=1e-12)


def test_beyond_the_fold_of_the_lens_there_is_no_ray() -> None:
    """x (1 - x^2) never exceeds 2 / (3 sqrt 3) = 0.385."""
    d = (-1.0, 0.0, 0.0, 0.0, 0.0)
    inverse = lens.undistort(np.array([[0.38, 0.0], [0.39, 0.0]]), d, 'plumb_bob')
    assert 0.5 < inverse[0, 0] < 3**-0.5
    assert np.isnan(inverse[1]).all()


def test_equidistant_has_no_ray_at_a_right_angle() -> None:
    inverse = lens.undistort(np.array([1.6, 0.0]), (0.0,) * 4, 'equidistant')
    assert np.isnan(inverse).all()


def test_project_points() -> None:
    points = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    pixels = lens.project_points(points, P[:, :3])
    np.testing.assert_allclose(pixels[0], [320.0 + 95.0, 240.0 + 190.0])
    assert np.isnan(pixels[1:]).all()


def test_rectify_image_of_an_ideal_camera_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    camera = Camera.pinhole(64, 48, 50.0, 50.0, 31.5, 23.5)
    maps = lens.rectification_maps(camera)
    assert np.array_equal(lens.rectify_image(image, maps), image)


@pytest.mark.parametrize(
    ('model', 'd', 'reason'),
    [
        ('thin_lens', (), 'not known'),
        ('plumb_bob', (0.1, 0.2, 0.3), '4 or 5 coefficients, not 3'),
        ('equidistant', (0.1,) * 5, 'not 5'),
        ('plumb_bob', (np.nan,) * 5, 'not finite'),
        ('rational_polynomial', (0.0,) * 12 + (0.1, 0.0), 'tilted'),
    ],
)
def test_wrong_coefficients_are_named(model: str, d: tuple[float, ...], reason: str) -> None:
    with pytest.raises(PerceptionError, match=reason):
        lens.distort(np.zeros(2), d, model)


def test_a_calibration_that_leaves_nothing_of_the_image_is_refused() -> None:
    camera = make_camera('plumb_bob', (1e9, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(PerceptionError, match='of the rectified image lie in the raw one'):
        lens.rectification_maps(camera)
