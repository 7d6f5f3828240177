# SPDX-License-Identifier: Apache-2.0
"""Rigid motions against their group laws, scipy's matrix exponential and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from perception_nodes.geometry import se3
from perception_nodes.types import PerceptionError

coordinate = st.floats(-10.0, 10.0)
translations = st.tuples(coordinate, coordinate, coordinate).map(np.array)
directions = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array).filter(
    lambda axis: np.linalg.norm(axis) > 1e-2
)


@st.composite
def motions(draw: st.DrawFn, largest_angle: float = np.pi - 1e-3) -> np.ndarray:
    """Six coordinates whose angle is anything from tiny to almost pi."""
    axis = draw(directions)
    angle = draw(st.one_of(st.floats(0.0, largest_angle), st.floats(0.0, 1e-3), st.just(0.0)))
    return np.concatenate([draw(translations), axis / np.linalg.norm(axis) * angle])


@given(motions())
def test_log_undoes_exp(xi: np.ndarray) -> None:
    np.testing.assert_allclose(se3.log(se3.exp(xi)), xi, atol=1e-9)


@given(motions())
def test_exp_is_the_matrix_exponential(xi: np.ndarray) -> None:
    generator = np.zeros((4, 4))
    generator[:3, :3] = se3.skew(xi[3:])
    generator[:3, 3] = xi[:3]
    np.testing.assert_allclose(se3.exp(xi), expm(generator), atol=1e-10)


@given(motions(), motions())
def test_inverse_and_compose(first: np.ndarray, second: np.ndarray) -> None:
    a_from_b, b_from_c = se3.exp(first), se3.exp(second)
    a_from_c = se3.compose(a_from_b, b_from_c)
    np.testing.assert_allclose(a_from_c @ se3.inverse(b_from_c), a_from_b, atol=1e-9)


@given(motions(), motions(1.0))
def test_adjoint_moves_a_motion_to_the_other_side(pose: np.ndarray, step: np.ndarray) -> None:
    a_from_b = se3.exp(pose)
    moved = se3.exp(se3.adjoint(a_from_b) @ step) @ a_from_b
    np.testing.assert_allclose(moved, a_from_b @ se3.exp(step), atol=1e-8)


@given(motions(np.pi))
def test_quaternions_agree_with_scipy_and_come_back(xi: np.ndarray) -> None:
    transform = se3.exp(xi)
    quaternion = se3.to_quaternion_xyzw(transform)
    assert quaternion[3] >= 0.0
    np.testing.assert_allclose(
        Rotation.from_quat(quaternion).as_matrix(), transform[:3, :3], atol=1e-9
    )
    back = se3.from_quaternion_xyzw(3.7 * quaternion, transform[:3, 3])
    np.testing.assert_allclose(back, transform, atol=1e-9)


@pytest.mark.parametrize('axis', np.eye(3))
def test_half_turns_are_exact(axis: np.ndarray) -> None:
    half_turn = se3.so3_exp(np.pi * axis)
    assert se3.rotation_angle_rad(half_turn) == pytest.approx(np.pi, abs=1e-12)
    np.testing.assert_allclose(np.abs(se3.so3_log(half_turn)), np.pi * axis, atol=1e-9)


def test_angle_of_a_tiny_rotation_keeps_its_digits() -> None:
    assert se3.rotation_angle_rad(se3.so3_exp(np.array([0.0, 3e-9, 4e-9]))) == pytest.approx(
        5e-9, rel=1e-6
    )


def test_zero_quaternion_is_refused() -> None:
    with pytest.raises(PerceptionError, match='no rotation'):
        se3.from_quaternion_xyzw(np.zeros(4), np.zeros(3))


@given(motions(np.pi), st.floats(0.1, 10.0), st.integers(0, 10**6))
def test_umeyama_finds_the_transform_and_the_scale(
    xi: np.ndarray, scale: float, seed: int
) -> None:
    source = np.random.default_rng(seed).normal(size=(12, 3))
    target = se3.transform_points(se3.exp(xi), scale * source)
    fit, fitted_scale = se3.umeyama(source, target, with_scale=True)
    assert fitted_scale == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(fit, se3.exp(xi), atol=1e-8)


def test_umeyama_never_mirrors() -> None:
    """Of a flipped cloud the best proper rotation is taken (the sign matrix of the paper)."""
    source = np.random.default_rng(3).normal(size=(20, 3))
    fit, _ = se3.umeyama(source, source * [1.0, 1.0, -1.0])
    assert np.linalg.det(fit[:3, :3]) == pytest.approx(1.0)


def test_umeyama_of_a_flipped_triangle_turns_it_over() -> None:
    """The triangles of Umeyama 1991, section IV: in space a half turn about y maps them."""
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]])
    fit, scale = se3.umeyama(source, source * [-1.0, 1.0, 1.0], with_scale=True)
    assert scale == pytest.approx(1.0)
    np.testing.assert_allclose(fit[:3, :3], np.diag([-1.0, 1.0, -1.0]), atol=1e-12)


@pytest.mark.parametrize(
    ('source', 'reason'),
    [
        (np.zeros((2, 3)), 'at least 3'),
        (np.zeros((4, 2)), r'\[N, 3\]'),
        (np.outer(np.arange(5.0), [1.0, 2.0, 3.0]), 'one line'),
    ],
)
def test_umeyama_refuses_what_fixes_no_rotation(source: np.ndarray, reason: str) -> None:
    with pytest.raises(PerceptionError, match=reason):
        se3.umeyama(source, source)


def test_orthonormal_is_the_nearest_transform_and_leaves_one_as_it_is() -> None:
    pose = se3.exp(np.array([1.0, -2.0, 3.0, 0.3, -1.2, 2.0]))
    assert np.allclose(se3.orthonormal(pose), pose, atol=1e-14)
    bent = pose.copy()
    bent[:3, :3] += 1e-3 * np.random.default_rng(0).normal(size=(3, 3))
    found = se3.orthonormal(bent)
    assert np.allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-14)
    assert np.linalg.det(found[:3, :3]) == pytest.approx(1.0)
    assert np.array_equal(found[:3, 3], bent[:3, 3]) and np.abs(found - pose).max() < 3e-3
