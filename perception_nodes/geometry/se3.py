# SPDX-License-Identifier: Apache-2.0
"""Rigid motions: 4x4 matrices ``a_from_b``, their six coordinates, quaternions and fits.

Six coordinates are ordered (translation 3, rotation 3), in metres and radians, and act on the
left: ``exp(xi) @ a_from_b`` moves frame a. All functions work in float64.
Equations: J. Sola et al., "A micro Lie theory for state estimation in robotics", 2018.
"""

import numpy as np
from numpy.typing import NDArray

from perception_nodes.types import FloatArray, PerceptionError

__all__ = [
    'adjoint',
    'compose',
    'exp',
    'from_quaternion_xyzw',
    'from_rotation_translation',
    'inverse',
    'log',
    'orthonormal',
    'rotation_angle_rad',
    'skew',
    'so3_exp',
    'so3_log',
    'to_quaternion_xyzw',
    'transform_points',
    'umeyama',
]

_SMALL_ANGLE_RAD = 1e-4


def skew(vector: FloatArray) -> FloatArray:
    """Matrix [3, 3] whose product with x is the cross product ``vector x x``."""
    x, y, z = (float(component) for component in np.asarray(vector, dtype=np.float64))
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def so3_exp(rotation_rad: FloatArray) -> FloatArray:
    """Rotation matrix [3, 3] of a rotation vector [3], radians (Rodrigues)."""
    cross = skew(rotation_rad)
    sine, cosine, _ = _series(float(np.linalg.norm(rotation_rad)))
    return np.eye(3) + sine * cross + cosine * (cross @ cross)


def so3_log(rotation: FloatArray) -> FloatArray:
    """Rotation vector [3], radians, norm 0..pi, of a rotation matrix [3, 3]."""
    quaternion = _quaternion_of_rotation(np.asarray(rotation, dtype=np.float64))
    vector, scalar = quaternion[:3], quaternion[3]
    norm = float(np.linalg.norm(vector))
    if norm < 1e-9:
        return 2.0 * vector
    angle = 2.0 * float(np.arctan2(norm, scalar))
    return vector * (angle / norm)


def exp(xi: FloatArray) -> FloatArray:
    """Transform [4, 4] of the six coordinates (translation, rotation)."""
    coordinates = np.asarray(xi, dtype=np.float64)
    if coordinates.shape != (6,):
        raise PerceptionError(f'six coordinates are wanted, not an array of {coordinates.shape}')
    rotation = coordinates[3:]
    cross = skew(rotation)
    _, cosine, cubic = _series(float(np.linalg.norm(rotation)))
    left_jacobian = np.eye(3) + cosine * cross + cubic * (cross @ cross)
    return from_rotation_translation(so3_exp(rotation), left_jacobian @ coordinates[:3])


def log(a_from_b: FloatArray) -> FloatArray:
    """Six coordinates (translation, rotation) of a transform [4, 4]; the angle is in 0..pi."""
    rotation = so3_log(a_from_b[:3, :3])
    angle = float(np.linalg.norm(rotation))
    cross = skew(rotation)
    if angle < _SMALL_ANGLE_RAD:
        quadratic = 1.0 / 12.0 + angle**2 / 720.0
    else:
        half = angle / 2.0
        quadratic = (1.0 - half / np.tan(half)) / angle**2
    inverse_jacobian = np.eye(3) - 0.5 * cross + quadratic * (cross @ cross)
    return np.concatenate([inverse_jacobian @ a_from_b[:3, 3], rotation])


def inverse(a_from_b: FloatArray) -> FloatArray:
    """Return b_from_a [4, 4]."""
    rotation = a_from_b[:3, :3].T
    return from_rotation_translation(rotation, -rotation @ a_from_b[:3, 3])


def orthonormal(a_from_b: FloatArray) -> FloatArray:
    """Nearest transform [4, 4] whose rotation is one, of a product that rounding has bent.

    Chains of products need it: ``inverse`` takes a rotation for granted, so whatever mixes it with
    products doubles the bend with every link.
    """
    left, _, right = np.linalg.svd(np.asarray(a_from_b, np.float64)[:3, :3])
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return from_rotation_translation(rotation, a_from_b[:3, 3])


def compose(*transforms: FloatArray) -> FloatArray:
    """Chain ``a_from_b, b_from_c, ...`` into one transform [4, 4]; of none the identity."""
    product: FloatArray = np.eye(4)
    for transform in transforms:
        product = product @ transform
    return product


def adjoint(a_from_b: FloatArray) -> FloatArray:
    """Matrix [6, 6] with ``a_from_b exp(xi) = exp(adjoint xi) a_from_b``.

    A covariance of small motions in b becomes one in a as ``adjoint @ covariance @ adjoint.T``.
    """
    rotation = a_from_b[:3, :3]
    matrix: FloatArray = np.zeros((6, 6))
    matrix[:3, :3] = matrix[3:, 3:] = rotation
    matrix[:3, 3:] = skew(a_from_b[:3, 3]) @ rotation
    return matrix


def from_rotation_translation(rotation: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Build the transform [4, 4] of a rotation matrix [3, 3] and a translation [3]."""
    transform: FloatArray = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = np.asarray(translation_m, dtype=np.float64).reshape(3)
    return transform


def from_quaternion_xyzw(quaternion: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Build the transform [4, 4] of a quaternion (x, y, z, w), any norm but 0, and a translation.

    Raises
    ------
    PerceptionError
        If the quaternion is zero or not finite.
    """
    components = np.asarray(quaternion, dtype=np.float64).reshape(4)
    norm = float(np.linalg.norm(components))
    if not np.isfinite(norm) or norm < 1e-12:
        raise PerceptionError(f'quaternion {components.tolist()} is no rotation')
    x, y, z, w = components / norm
    cross = skew(np.array([x, y, z]))
    return from_rotation_translation(
        np.eye(3) + 2.0 * w * cross + 2.0 * (cross @ cross), translation_m
    )


def to_quaternion_xyzw(a_from_b: FloatArray) -> FloatArray:
    """Unit quaternion (x, y, z, w), w >= 0, of the rotation of a transform [4, 4] or [3, 3]."""
    return _quaternion_of_rotation(np.asarray(a_from_b, dtype=np.float64)[:3, :3])


def rotation_angle_rad(a_from_b: FloatArray) -> float:
    """Angle of the rotation of a transform [4, 4] or [3, 3], radians 0..pi."""
    return float(np.linalg.norm(so3_log(a_from_b[:3, :3])))


def is_rigid(a_from_b: FloatArray, tolerance: float = 1e-3) -> NDArray[np.bool_]:
    """Whether matrices are rigid motions.

    Parameters
    ----------
    a_from_b : float [..., 4, 4].

    Returns
    -------
    bool [...]; False where anything is not finite.
    """
    turn = a_from_b[..., :3, :3]
    with np.errstate(all='ignore'):
        gap = np.abs(turn @ np.swapaxes(turn, -1, -2) - np.eye(3)).max((-1, -2))
        proper = np.linalg.det(turn) > 0
    last = (a_from_b[..., 3, :] == [0, 0, 0, 1]).all(-1)
    return np.asarray(np.isfinite(a_from_b).all((-1, -2)) & (gap <= tolerance) & proper & last)


def transform_points(a_from_b: FloatArray, points_b: FloatArray) -> FloatArray:
    """Map points [..., 3] of frame b into frame a."""
    moved: FloatArray = points_b @ a_from_b[:3, :3].T + a_from_b[:3, 3]
    return moved


def umeyama(
    source: FloatArray, target: FloatArray, with_scale: bool = False, *, unique: bool = True
) -> tuple[FloatArray, float]:
    """Fit ``target ~ scale * R @ source + t`` over points, least squares.

    Parameters
    ----------
    source, target : [N, 3] points, N >= 3 and not all on one line.
    with_scale : estimate the scale too; else it is 1.
    unique : False also takes points on one line. The rotation about that line is then arbitrary,
        which moves none of them; the scale of points that are all one is NaN.

    Returns
    -------
    target_from_source : [4, 4] rotation and translation. scale : multiply source by it first.

    Raises
    ------
    PerceptionError
        If the shapes differ or are not [N, 3], or the points do not fix a rotation.

    Notes
    -----
    S. Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise PerceptionError(f'point sets {source.shape} and {target.shape} are not both [N, 3]')
    if unique and len(source) < 3:
        raise PerceptionError(f'{len(source)} points do not fix a rotation: at least 3 are wanted')
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    left, singular, right = np.linalg.svd((target - target_mean).T @ centred / len(source))
    if unique and singular[1] <= 1e-12 * max(singular[0], 1e-300):
        raise PerceptionError('the points lie on one line: they do not fix a rotation')
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = (left * sign) @ right
    scale = 1.0
    if with_scale:
        spread = float(np.mean(np.sum(centred**2, axis=1)))
        scale = float(singular @ sign / spread) if spread > 0.0 else float('nan')
    return from_rotation_translation(rotation, target_mean - scale * rotation @ source_mean), scale


def _series(angle: float) -> tuple[float, float, float]:
    """Return sin(a)/a, (1 - cos(a))/a^2, (a - sin(a))/a^3, exact to float64 near 0 as well."""
    if angle < _SMALL_ANGLE_RAD:
        square = angle * angle
        return 1.0 - square / 6.0, 0.5 - square / 24.0, 1.0 / 6.0 - square / 120.0
    sine = np.sin(angle)
    versine = 2.0 * np.sin(angle / 2.0) ** 2
    return float(sine / angle), float(versine / angle**2), float((angle - sine) / angle**3)


def _quaternion_of_rotation(rotation: FloatArray) -> FloatArray:
    """Quaternion (x, y, z, w) by the largest of its four squares, well conditioned at pi too."""
    trace = float(np.trace(rotation))
    squares = np.array([*(1.0 - trace + 2.0 * np.diag(rotation)), 1.0 + trace])
    largest = int(np.argmax(squares))
    quaternion: FloatArray = np.empty(4)
    if largest == 3:
        quaternion[3] = squares[3]
        quaternion[0] = rotation[2, 1] - rotation[1, 2]
        quaternion[1] = rotation[0, 2] - rotation[2, 0]
        quaternion[2] = rotation[1, 0] - rotation[0, 1]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        quaternion[i] = squares[i]
        quaternion[j] = rotation[j, i] + rotation[i, j]
        quaternion[k] = rotation[k, i] + rotation[i, k]
        quaternion[3] = rotation[k, j] - rotation[j, k]
    quaternion /= np.linalg.norm(quaternion)
    return -quaternion if quaternion[3] < 0.0 else quaternion
