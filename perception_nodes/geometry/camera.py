# SPDX-License-Identifier: Apache-2.0
"""Lens distortion and rectification by the models of sensor_msgs/CameraInfo.

``plumb_bob`` (k1 k2 p1 p2 [k3]) and ``rational_polynomial`` (k1 k2 p1 p2 k3 k4 k5 k6
[s1 s2 s3 s4]) are OpenCV's pinhole models; ``equidistant`` (k1 k2 k3 k4) is its fisheye model
(J. Kannala and S. Brandt, PAMI 2006; REP 104 lists the names).
Normalised coordinates are ``x/z, y/z`` of a ray; float64 [..., 2].
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_nodes.types import Array, Camera, FloatArray, PerceptionError

__all__ = [
    'distort',
    'project_points',
    'rectification_maps',
    'rectify_image',
    'undistort',
    'undistort_points',
]

_BROWN_SIZES = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8, 12, 14)}
_EQUIDISTANT_SIZES = (0, 4)
_NEWTON_STEPS = 30
_CONVERGED = 1e-10
_LEAST_SEEN = 0.05  # of the rectified image; a wide view rectified without cropping shows more


def distort(xy: FloatArray, d: tuple[float, ...], distortion_model: str) -> FloatArray:
    """Bend ideal normalised coordinates as the lens does.

    Parameters
    ----------
    xy : [..., 2] normalised coordinates of rays.
    d, distortion_model : as in CameraInfo.

    Returns
    -------
    [..., 2] distorted normalised coordinates.

    Raises
    ------
    PerceptionError
        If the model is unknown or has another number of coefficients.
    """
    xy = np.asarray(xy, dtype=np.float64)
    coefficients = _coefficients(d, distortion_model)
    if distortion_model == 'equidistant':
        radius = np.hypot(xy[..., 0], xy[..., 1])
        bent = _equidistant_angle(np.arctan(radius), coefficients)
        return xy * np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)[..., None]
    return _brown(xy, coefficients)[0]


def undistort(xy_distorted: FloatArray, d: tuple[float, ...], distortion_model: str) -> FloatArray:
    """Invert :func:`distort` by Newton's method.

    Returns
    -------
    [..., 2] normalised coordinates; NaN where no ray bends there (outside the lens model's range).
    """
    xy_distorted = np.asarray(xy_distorted, dtype=np.float64)
    coefficients = _coefficients(d, distortion_model)
    if distortion_model == 'equidistant':
        return _undistort_equidistant(xy_distorted, coefficients)
    return _undistort_brown(xy_distorted, coefficients)


def undistort_points(camera: Camera, xy_px: FloatArray) -> FloatArray:
    """Move pixels of the raw image to where they are in the rectified image.

    Parameters
    ----------
    xy_px : [..., 2] raw pixels.

    Returns
    -------
    float64 [..., 2] rectified pixels; NaN where the lens model or the rectified camera has none.
    """
    xy_px = np.asarray(xy_px, dtype=np.float64)
    homogeneous = np.concatenate([xy_px, np.ones_like(xy_px[..., :1])], axis=-1)
    bent = (homogeneous @ np.linalg.inv(camera.k).T)[..., :2]
    ideal = undistort(bent, camera.d, camera.distortion_model)
    rays = np.concatenate([ideal, np.ones_like(ideal[..., :1])], axis=-1)
    return project_points(rays @ camera.r.T, camera.rectified_k)


def project_points(points_m: FloatArray, k: FloatArray) -> FloatArray:
    """Project points of the optical frame through a pinhole.

    Parameters
    ----------
    points_m : [..., 3].
    k : [3, 3] intrinsics, pixels.

    Returns
    -------
    float64 [..., 2] pixels; NaN for points that are not in front of the camera.
    """
    projected = np.asarray(points_m, dtype=np.float64) @ np.asarray(k, dtype=np.float64).T
    depth = projected[..., 2:]
    depth = np.where(depth > 0.0, depth, np.nan)
    pixels: FloatArray = projected[..., :2] / depth
    return pixels


def rectification_maps(camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Tell for each pixel of the rectified image where it lies in the raw one.

    Returns
    -------
    map_x, map_y : float32 [height, width] raw pixels, ready for ``cv2.remap``; -1 for rays behind
    the camera.

    Raises
    ------
    PerceptionError
        If the lens model is not known, or next to nothing of the raw image would be left.

    Notes
    -----
    Ray = (P[:, :3])^-1 (u, v, 1), turned by R^T, bent by the lens, projected by K, as the fields
    are defined in sensor_msgs/CameraInfo.
    """
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1).astype(np.float64)
    rays = pixels @ (np.linalg.inv(camera.rectified_k).T @ camera.r)
    front = rays[..., 2] > 0.0
    xy = rays[..., :2] / np.where(front, rays[..., 2], 1.0)[..., None]
    bent = distort(xy, camera.d, camera.distortion_model)
    raw = bent @ camera.k[:2, :2].T + camera.k[:2, 2]
    last = np.array([camera.width - 1, camera.height - 1])
    seen = front & ((raw >= 0) & (raw <= last)).all(axis=-1)
    if seen.mean() < _LEAST_SEEN:
        raise PerceptionError(
            f'by camera_info {seen.mean():.1%} of the rectified image lie in the raw one: are D, '
            'K, R and P of this camera?'
        )
    raw = np.where(front[..., None], raw, -1.0).astype(np.float32)
    return np.ascontiguousarray(raw[..., 0]), np.ascontiguousarray(raw[..., 1])


def rectify_image(image: NDArray[Any], maps: tuple[FloatArray, FloatArray]) -> Array:
    """Resample a raw image [H, W] or [H, W, 3] by its maps, bilinear; black outside."""
    return np.asarray(cv2.remap(image, maps[0], maps[1], cv2.INTER_LINEAR))


def _coefficients(d: tuple[float, ...], distortion_model: str) -> FloatArray:
    """Check and fill up: 12 numbers for the pinhole models, 4 for the fisheye."""
    if distortion_model == 'equidistant':
        sizes: tuple[int, ...] = _EQUIDISTANT_SIZES
    elif distortion_model in _BROWN_SIZES:
        sizes = _BROWN_SIZES[distortion_model]
    else:
        raise PerceptionError(
            f"distortion model '{distortion_model}' is not known: "
            'plumb_bob, rational_polynomial or equidistant'
        )
    values = np.asarray(d, dtype=np.float64).reshape(-1)
    if len(values) not in sizes and np.any(values):
        raise PerceptionError(
            f'{distortion_model} wants {" or ".join(map(str, sizes[1:]))} coefficients, '
            f'not {len(values)}'
        )
    if not np.isfinite(values).all():
        raise PerceptionError('distortion coefficients are not finite')
    if len(values) == 14 and np.any(values[12:]):
        raise PerceptionError('a tilted sensor (tau in D[12:14]) is not supported')
    filled: FloatArray = np.zeros(4 if distortion_model == 'equidistant' else 12)
    used = values[: len(filled)] if len(values) in sizes else values[:0]
    filled[: len(used)] = used
    return filled


def _brown(xy: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distorted coordinates [..., 2] and their Jacobian [..., 2, 2]."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = c
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    slope = (
        (k1 + r2 * (2 * k2 + 3 * r2 * k3)) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))
    ) / below
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4),
        ],
        axis=-1,
    )
    prism_x, prism_y = 2 * (s1 + 2 * s2 * r2), 2 * (s3 + 2 * s4 * r2)
    mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian = np.stack(
        [
            radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x + prism_x * x,
            mixed + prism_x * y,
            mixed + prism_y * x,
            radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x + prism_y * y,
        ],
        axis=-1,
    )
    return bent, jacobian.reshape((*xy.shape, 2))


def _undistort_brown(target: FloatArray, coefficients: FloatArray) -> FloatArray:
    xy = target.copy()
    with np.errstate(all='ignore'):
        for _ in range(_NEWTON_STEPS):
            bent, jacobian = _brown(xy, coefficients)
            residual = bent - target
            if np.nanmax(np.abs(residual), initial=0.0) < _CONVERGED * 1e-3:
                break
            a, b, c, d = (jacobian[..., i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
            determinant = a * d - b * c
            step = np.stack(
                [
                    (d * residual[..., 0] - b * residual[..., 1]) / determinant,
                    (a * residual[..., 1] - c * residual[..., 0]) / determinant,
                ],
                axis=-1,
            )
            xy = xy - np.clip(step, -0.5, 0.5)
        bent, jacobian = _brown(xy, coefficients)
        # Beyond the fold of the polynomial the lens model maps two rays to one pixel.
        good = np.abs(bent - target).max(axis=-1) < _CONVERGED
        good &= np.linalg.det(jacobian) > 0.0
    return np.where(good[..., None], xy, np.nan)


def _equidistant_angle(angle_rad: FloatArray, c: FloatArray) -> FloatArray:
    square = angle_rad**2
    series = 1 + square * (c[0] + square * (c[1] + square * (c[2] + square * c[3])))
    bent: FloatArray = angle_rad * series
    return bent


def _undistort_equidistant(target: FloatArray, c: FloatArray) -> FloatArray:
    radius = np.hypot(target[..., 0], target[..., 1])
    angle = np.minimum(radius, 0.5 * np.pi)
    with np.errstate(all='ignore'):
        for _ in range(_NEWTON_STEPS):
            square = angle**2
            slope = 1 + square * (
                3 * c[0] + square * (5 * c[1] + square * (7 * c[2] + square * 9 * c[3]))
            )
            angle = angle - np.clip((_equidistant_angle(angle, c) - radius) / slope, -0.3, 0.3)
        square = angle**2
        slope = 1 + square * (
            3 * c[0] + square * (5 * c[1] + square * (7 * c[2] + square * 9 * c[3]))
        )
        good = np.abs(_equidistant_angle(angle, c) - radius) < _CONVERGED
        good &= (slope > 0.0) & (angle >= 0.0) & (angle < 0.5 * np.pi)
        scale = np.where(radius > 0.0, np.tan(angle) / radius, 1.0)
    return np.where(good[..., None], target * scale[..., None], np.nan)
