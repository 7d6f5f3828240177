# SPDX-License-Identifier: Apache-2.0
"""The vehicle's pose, velocity and their covariances as they follow from measured motions.

Inside, poses are of the camera and covariances of right perturbations, ``odom_from_camera @
exp(xi)``. Outside, as nav_msgs/Odometry has it: the pose of base_link with covariance of (x y z,
rotation about X Y Z of odom), the twist in base_link.
"""

import numpy as np

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.motion import Reach
from perception_nodes.pipelines.visual_odometry.window import Keyframe
from perception_nodes.types import FloatArray, Odometry, PerceptionError

# Growth of the deviation while nothing is measured: what a road vehicle's velocity may change.
_SPEED_FRACTION, _SPEED_MPS, _TURN_RADPS = 0.3, 1.0, 0.3
_UNKNOWN_TWIST = np.diag([25.0, 25.0, 25.0, 1.0, 1.0, 1.0])
# What no pose is known better than, even the first one: filters cannot take a 0.
_LEAST_COVARIANCE = np.diag([1e-6] * 3 + [1e-8] * 3)
# What is added while lost: where a vehicle of unknown velocity may be after a tenth of a second.
_LOST_COVARIANCE = _UNKNOWN_TWIST * 0.1**2
_INTERRUPTION_S = 1.0  # of a clock that went back nobody knows how long it took


class DeadReckoning:
    """Pose and velocity.

    Attributes
    ----------
    odom_from_camera : [4, 4]. covariance : [6, 6], m and rad.
    moving_known : whether a velocity has been measured.
    """

    def __init__(self, base_from_camera: FloatArray, config: VisualOdometryConfig) -> None:
        self._base_from_camera = base_from_camera
        self._config = config
        self.odom_from_camera: FloatArray = base_from_camera.copy()
        self.covariance: FloatArray = np.zeros((6, 6))
        self.moving_known = False
        self._systematic: FloatArray = np.zeros((6, 7))  # of the pose, by calibration
        self._twist: FloatArray = np.zeros(6)  # of the camera, in its frame, per second
        self._twist_covariance: FloatArray = _UNKNOWN_TWIST.copy()
        self._step_covariance: FloatArray = np.zeros((6, 6))  # of the last pose in its keyframe
        self._measured_pose: FloatArray = self.odom_from_camera
        self._measured_covariance: FloatArray = self.covariance
        self._measured_ns: int | None = None
        self._held = False  # lost for longer than the velocity is kept

    def set_pose(self, odom_from_base: FloatArray, covariance: FloatArray | None) -> FloatArray:
        """Place the vehicle; returns ``new_from_old`` of odom."""
        pose = np.asarray(odom_from_base, dtype=np.float64)
        spread = np.zeros((6, 6)) if covariance is None else np.asarray(covariance, np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise PerceptionError('the pose to start from must be a finite 4x4 matrix')
        if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3):
            raise PerceptionError('the pose to start from holds no rotation')
        if spread.shape != (6, 6) or not np.isfinite(spread).all():
            raise PerceptionError('the covariance to start from must be a finite 6x6 matrix')
        new = pose @ self._base_from_camera
        shift = new @ se3.inverse(self.odom_from_camera)
        inside = _turned(pose[:3, :3].T, spread)
        to_camera = se3.adjoint(se3.inverse(self._base_from_camera))
        self.odom_from_camera = self._measured_pose = new
        self.covariance = to_camera @ inside @ to_camera.T
        self._measured_covariance = self.covariance
        self._systematic = np.zeros((6, 7))
        return np.asarray(shift)

    def predict(self, stamp_ns: int) -> FloatArray:
        """Pose [4, 4] of the camera at a later time if the velocity stays, for a moment."""
        coasted = self.coasting(self._elapsed_s(stamp_ns))
        return se3.orthonormal(self._measured_pose @ coasted)

    def coasting(self, elapsed_s: float) -> FloatArray:
        """Motion [4, 4] in a time if the velocity stays, for a moment."""
        elapsed_s = min(elapsed_s, self._config.coast_s)
        if not self.moving_known or elapsed_s <= 0:
            return np.eye(4)
        return se3.exp(self._twist * elapsed_s)

    def reach(self, stamp_ns: int) -> Reach | None:
        """Maximum distance of the vehicle from ``predict``'s position; None if unknown."""
        elapsed = self._elapsed_s(stamp_ns)
        if not self.moving_known or elapsed <= 0:
            return None
        config = self._config
        return Reach(
            config.max_acceleration_mps2 * elapsed**2, config.max_turn_change_radps2 * elapsed**2
        )

    def impossible(self, odom_from_camera: FloatArray, stamp_ns: int) -> str:
        """Say why a motion cannot be; empty if it can."""
        elapsed = self._elapsed_s(stamp_ns)
        motion = se3.inverse(self._measured_pose) @ odom_from_camera
        if elapsed <= 0 or not np.isfinite(motion).all():
            return 'the motion is not finite'
        speed = float(np.linalg.norm(motion[:3, 3])) / elapsed
        turn = se3.rotation_angle_rad(motion) / elapsed
        if speed > self._config.max_speed_mps:
            return f'a speed of {speed:.0f} m/s is not believed'
        if turn > self._config.max_turn_radps:
            return f'a turn of {turn:.1f} rad/s is not believed'
        return ''

    def started(self, stamp_ns: int, keyframe: Keyframe) -> None:
        """Go on from a keyframe that was set where the vehicle was thought to be."""
        self._measured_ns = stamp_ns
        self.odom_from_camera = self._measured_pose = keyframe.odom_from_camera
        self.covariance = self._measured_covariance = keyframe.covariance
        self._step_covariance = np.zeros((6, 6))

    def measured(
        self, stamp_ns: int, keyframe: Keyframe, keyframe_from_camera: FloatArray,
        step_covariance: FloatArray,
    ) -> None:
        """Take a motion since the last keyframe, with the covariance of its right perturbation."""
        elapsed = self._elapsed_s(stamp_ns)
        pose = se3.orthonormal(keyframe.odom_from_camera @ keyframe_from_camera)
        carry = se3.adjoint(se3.inverse(keyframe_from_camera))
        before = self._measured_pose
        motion = se3.inverse(before) @ pose
        back = se3.adjoint(se3.inverse(motion))
        self._systematic = back @ self._systematic + _calibration_effect(motion)
        if elapsed > 0:
            spread = step_covariance + back @ self._step_covariance @ back.T
            self._twist = se3.log(motion) / elapsed
            self._twist_covariance = spread / elapsed**2
            self.moving_known = True
        self.odom_from_camera = self._measured_pose = pose
        self.covariance = carry @ keyframe.covariance @ carry.T + step_covariance
        self._measured_covariance, self._step_covariance = self.covariance, step_covariance
        self._measured_ns = stamp_ns

    def corrected(self, keyframe: Keyframe) -> None:
        """Take the adjusted pose of the keyframe that was made of the present pose."""
        self.odom_from_camera = self._measured_pose = keyframe.odom_from_camera
        self.covariance = self._measured_covariance = keyframe.covariance
        self._step_covariance = np.zeros((6, 6))

    def unmeasured(self, stamp_ns: int) -> None:
        """Go on with the last velocity for a moment, then stand; the covariance grows."""
        if self._measured_ns is None:
            self._measured_ns = stamp_ns  # the vehicle is at the origin now, wherever it goes
        elapsed = self._elapsed_s(stamp_ns)
        self.odom_from_camera = self.predict(stamp_ns)
        self._held = elapsed > self._config.coast_s
        carry = se3.adjoint(se3.inverse(self.odom_from_camera) @ self._measured_pose)
        self.covariance = carry @ self._measured_covariance @ carry.T + self._growth(elapsed)

    def interrupted(self) -> None:
        """Stay where the vehicle is believed to be, after a time of unknown length."""
        self._measured_pose = self.odom_from_camera
        self.covariance = self.covariance + self._growth(_INTERRUPTION_S)
        self._measured_covariance = self.covariance
        self._step_covariance = np.zeros((6, 6))
        self._twist, self._twist_covariance = np.zeros(6), _UNKNOWN_TWIST.copy()
        self.moving_known, self._measured_ns = False, None

    def _growth(self, elapsed_s: float) -> FloatArray:
        """Covariance [6, 6] of a motion that was not measured."""
        if not self.moving_known:
            return _UNKNOWN_TWIST * elapsed_s**2
        held_s = max(elapsed_s - self._config.coast_s, 0.0)
        speed = float(np.linalg.norm(self._twist[:3]))
        turn = float(np.linalg.norm(self._twist[3:]))
        metres = (_SPEED_FRACTION * speed + _SPEED_MPS) * elapsed_s + speed * held_s
        radians = _TURN_RADPS * elapsed_s + turn * held_s
        return np.diag([metres**2] * 3 + [radians**2] * 3)

    def odometry(
        self, stamp_ns: int, *, tracking: bool = True, reason: str = '', inliers: int = 0,
        matches: int = 0,
    ) -> Odometry:
        """Say it as nav_msgs/Odometry wants it."""
        base_from_camera = self._base_from_camera
        odom_from_base = self.odom_from_camera @ se3.inverse(base_from_camera)
        to_base = se3.adjoint(base_from_camera)
        floor, turn_floor = self._config.drift_floor, self._config.turn_floor_rad_per_m
        systematic = self._systematic * np.array([floor] * 4 + [turn_floor] * 3)
        covariance = self.covariance + systematic @ systematic.T + _LEAST_COVARIANCE
        if not tracking:
            covariance = covariance + _LOST_COVARIANCE
        pose_covariance = _turned(odom_from_base[:3, :3], to_base @ covariance @ to_base.T)
        twist = to_base @ self._twist
        twist_covariance = to_base @ self._twist_covariance @ to_base.T
        if not tracking:
            twist_covariance = twist_covariance + _UNKNOWN_TWIST
        if not tracking and self._held:  # the pose is held, so the twist must be 0
            twist_covariance = twist_covariance + np.diag(twist**2)
            twist = np.zeros(6)
        twist_covariance[:3, :3] += floor**2 * float(twist[:3] @ twist[:3]) * np.eye(3)
        return Odometry(
            stamp_ns, self._config.odom_frame, self._config.base_frame, odom_from_base,
            _symmetric(pose_covariance), twist, _symmetric(twist_covariance), tracking, reason,
            inliers, matches,
        )

    def _elapsed_s(self, stamp_ns: int) -> float:
        return 0.0 if self._measured_ns is None else (stamp_ns - self._measured_ns) * 1e-9


def _calibration_effect(motion: FloatArray) -> FloatArray:
    """Right perturbation [6, 7] of a motion by errors of scale, direction (3), turn per metre (3).

    These errors are the same on every step, so they add up along the path instead of averaging.
    """
    moved = motion[:3, :3].T @ motion[:3, 3]
    effect = np.zeros((6, 7))
    effect[:3, 0] = moved
    effect[:3, 1:4] = -se3.skew(moved)
    effect[3:, 4:] = np.linalg.norm(moved) * np.eye(3)
    return effect


def _turned(rotation: FloatArray, covariance: FloatArray) -> FloatArray:
    """Covariance [6, 6] with both halves turned into another frame's axes."""
    both = np.kron(np.eye(2), rotation)
    return np.asarray(both @ covariance @ both.T)


def _symmetric(matrix: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (matrix + matrix.T))
