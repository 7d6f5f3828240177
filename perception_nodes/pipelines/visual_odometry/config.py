# SPDX-License-Identifier: Apache-2.0
"""What a user may set of visual odometry."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.types import FloatArray, PerceptionError

Rows4 = tuple[tuple[float, ...], ...]

# Optical axes (x right, y down, z forward) seen from base_link (x forward, y left, z up): REP 103.
OPTICAL_TO_BASE: Rows4 = (
    (0.0, 0.0, 1.0, 0.0),
    (-1.0, 0.0, 0.0, 0.0),
    (0.0, -1.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)


@dataclass(frozen=True)
class VisualOdometryConfig:
    """Parameters of visual odometry; the same names on the command line and in ROS.

    Attributes
    ----------
    base_from_camera : 4x4 pose of the left optical frame in base_link, row by row (/tf_static).
    odom_frame, base_frame : names that the result carries.
    front_end : 'lucas_kanade' (Shi-Tomasi corners, pyramidal Lucas-Kanade) or 'learned' (keypoints
        and descriptors of the features model, mutual nearest neighbours).
    max_features : features that are followed at once.
    max_disparity_fraction : widest disparity that is searched, as a fraction of the image's width.
    max_epipolar_px : a stereo match further from its row than this is dropped.
    window : keyframes that are adjusted together, at least 2.
    min_inliers : fewer features than this that agree on one motion mean lost.
    keyframe_kept : a new keyframe when less than this part of the last one's features is followed.
    keyframe_parallax_px : or when they moved further than this (median, pixels).
    max_speed_mps, max_turn_radps : a motion faster than this is refused as impossible.
    max_acceleration_mps2, max_turn_change_radps2 : a motion that changes faster than this is taken
        only if no other one is supported (something large that moves in front of the camera).
    coast_s : how long the last velocity is kept when lost; the pose is held after that.
    mover_classes, mover_weight : features on such pixels count by this weight (0..1).
    ignored_classes : features on such pixels are not used at all.
    pixel_sigma_floor : no measurement is believed better than this, pixels.
    drift_floor : deviation of the calibration errors that no residual shows: relative error of the
        scale, and angle (rad) between the camera's true axes and base_from_camera.
    turn_floor_rad_per_m : deviation of the rotation that such errors add on each metre of path.
    rig_yaw_sigma_rad : deviation of the error in the angle between the two cameras; it shifts all
        disparities alike and is estimated on the way. 0 believes the calibration.
    seed : of the random samples.
    path_length : poses kept for the path that is published.
    """

    base_from_camera: Rows4 = OPTICAL_TO_BASE
    odom_frame: str = 'odom'
    base_frame: str = 'base_link'
    front_end: str = 'lucas_kanade'
    max_features: int = 400
    max_disparity_fraction: float = 0.15
    max_epipolar_px: float = 1.5
    window: int = 4
    min_inliers: int = 15
    keyframe_kept: float = 0.7
    keyframe_parallax_px: float = 12.0
    max_speed_mps: float = 60.0
    max_turn_radps: float = 4.0
    max_acceleration_mps2: float = 15.0
    max_turn_change_radps2: float = 20.0
    coast_s: float = 0.5
    mover_classes: tuple[str, ...] = (
        'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle', 'bicyclist', 'rider',
        'pedestrian', 'person', 'vehicle',
    )
    mover_weight: float = 0.25
    ignored_classes: tuple[str, ...] = ('sky',)
    pixel_sigma_floor: float = 0.2
    drift_floor: float = 0.007
    turn_floor_rad_per_m: float = 2e-4
    rig_yaw_sigma_rad: float = 4e-4
    seed: int = 0
    path_length: int = 10_000

    def __post_init__(self) -> None:
        matrix = np.asarray(self.base_from_camera, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise PerceptionError('base_from_camera must be a finite 4x4 matrix')
        rotation = matrix[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise PerceptionError('base_from_camera holds no rotation: its 3x3 is not orthonormal')
        if self.front_end not in ('lucas_kanade', 'learned'):
            raise PerceptionError(
                f"front_end is 'lucas_kanade' or 'learned', not '{self.front_end}'"
            )
        for name in (
            'max_features', 'max_epipolar_px', 'min_inliers', 'keyframe_parallax_px',
            'max_speed_mps', 'max_turn_radps', 'max_acceleration_mps2', 'max_turn_change_radps2',
            'pixel_sigma_floor', 'path_length',
        ):
            if not getattr(self, name) > 0:
                raise PerceptionError(f'{name} must be positive, not {getattr(self, name)}')
        for name in ('max_disparity_fraction', 'keyframe_kept', 'mover_weight'):
            if not 0 <= getattr(self, name) <= 1:
                raise PerceptionError(f'{name} must lie in 0..1, not {getattr(self, name)}')
        for name in (
            'coast_s', 'drift_floor', 'turn_floor_rad_per_m', 'rig_yaw_sigma_rad',
        ):
            if not getattr(self, name) >= 0:
                raise PerceptionError(f'{name} must not be negative, not {getattr(self, name)}')
        if self.path_length > 1_000_000:
            raise PerceptionError(f'path_length is {self.path_length}; 1000000 is the most')
        if self.seed < 0:
            raise PerceptionError(f'seed must not be negative, not {self.seed}')
        if self.window < 2:
            raise PerceptionError(f'window must hold at least 2 keyframes, not {self.window}')
        if self.min_inliers < 6:
            raise PerceptionError('min_inliers below 6 cannot distinguish a motion from chance')

    @property
    def base_from_camera_matrix(self) -> FloatArray:
        """float64 [4, 4] with an exactly orthonormal rotation."""
        return se3.orthonormal(np.asarray(self.base_from_camera, dtype=np.float64))
