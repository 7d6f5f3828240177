# SPDX-License-Identifier: Apache-2.0
"""The rectified stereo camera as one measuring device: a point yields (u, v, disparity).

A landmark is kept as ``(x, y, q)`` in its camera: ``x = X/Z, y = Y/Z`` and inverse depth
``q = 1/Z`` (1/m). Far points, even at infinity, are ordinary in it (Civera, Davison,
Montiel 2008), and a measurement is linear in it, so Gaussian errors of pixels stay Gaussian.
"""

from dataclasses import dataclass

import numpy as np

from perception_nodes.types import FloatArray, StereoRig

_LEAST_SLOPE = 0.02  # of a ray to the image plane: no lens without distortion sees further aside


@dataclass(frozen=True)
class StereoProjection:
    """Focal lengths and centre of the left camera, pixels; ``bf``: fx * baseline, pixel metres.

    Attributes
    ----------
    cx_gap : left minus right principal point; ``u_left - u_right = disparity + cx_gap``.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    bf: float
    cx_gap: float = 0.0

    @staticmethod
    def of(rig: StereoRig) -> 'StereoProjection':
        """Take the rectified projection of a rig."""
        p = rig.left.p
        return StereoProjection(
            float(p[0, 0]), float(p[1, 1]), float(p[0, 2]), float(p[1, 2]),
            rig.focal_px * rig.baseline_m, rig.cx_gap_px,
        )

    @property
    def k(self) -> FloatArray:
        """Intrinsics of the left camera, float64 [3, 3], pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @property
    def scale(self) -> FloatArray:
        """Pixels per unit of (x, y, q), float64 [3]."""
        return np.array([self.fx, self.fy, self.bf])

    def landmarks(self, measured: FloatArray) -> FloatArray:
        """Landmarks (x, y, q) [N, 3] of measurements (u, v, disparity) [N, 3], pixels."""
        return np.asarray((measured - np.array([self.cx, self.cy, 0.0])) / self.scale)

    def measurements(self, landmarks: FloatArray) -> FloatArray:
        """Measurements (u, v, disparity) [N, 3], pixels, of landmarks (x, y, q) [N, 3]."""
        return np.asarray(landmarks * self.scale + np.array([self.cx, self.cy, 0.0]))

    def predict(
        self, landmarks: FloatArray, camera1_from_camera0: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """See landmarks of camera 0 from camera 1.

        Parameters
        ----------
        landmarks : [N, 3] (x, y, q) in camera 0.
        camera1_from_camera0 : [..., 4, 4]; one transform, or one for each landmark.

        Returns
        -------
        predicted : [N, 3] (u, v, disparity) pixels; NaN behind the camera and nearly beside it.
        by_ray : [N, 3, 3] derivative with respect to the homogeneous point ``(x', y', z')`` of
            camera 1 up to scale, ``p' = R (x, y, 1) + t q``.
        by_landmark : [N, 3, 3] derivative with respect to (x, y, q).
        """
        rotation = camera1_from_camera0[..., :3, :3]
        translation = camera1_from_camera0[..., :3, 3]
        q = landmarks[:, 2]
        ray = np.concatenate([landmarks[:, :2], np.ones((len(landmarks), 1))], axis=1)
        point = (rotation @ ray[..., None])[..., 0] + translation * q[:, None]
        nearest = np.maximum(_LEAST_SLOPE * np.hypot(point[:, 0], point[:, 1]), 1e-6)
        with np.errstate(divide='ignore', invalid='ignore'):
            inverse = np.where(point[:, 2] > nearest, 1.0 / point[:, 2], np.nan)
        a, b = point[:, 0] * inverse, point[:, 1] * inverse
        seen = np.stack([a, b, q * inverse], axis=1)
        by_ray = np.zeros((len(landmarks), 3, 3))
        by_ray[:, 0, 0] = self.fx * inverse
        by_ray[:, 1, 1] = self.fy * inverse
        by_ray[:, 0, 2] = -self.fx * a * inverse
        by_ray[:, 1, 2] = -self.fy * b * inverse
        by_ray[:, 2, 2] = -self.bf * seen[:, 2] * inverse
        columns = np.empty((len(landmarks), 3, 3))
        columns[..., :2] = rotation[..., :2]
        columns[..., 2] = translation
        by_landmark = by_ray @ columns
        by_landmark[:, 2, 2] += self.bf * inverse
        return self.measurements(seen), by_ray, by_landmark
