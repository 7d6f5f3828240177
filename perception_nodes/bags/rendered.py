# SPDX-License-Identifier: Apache-2.0
"""Writes a rendered sequence as a rosbag2, with its complete ground truth.

Topics: ``/stereo/{left,right}/image_rect`` rgb8 with ``camera_info``, ``/tf_static`` (base_link to
both optical frames), and on the left image's stamps ``/ground_truth/odometry`` (odom to
base_link), ``depth`` (32FC1 m, NaN = sky), ``disparity`` (32FC1 px, 0 = sky), ``labels`` (mono8,
CamVid's classes, 255 = none), ``flow`` (32FC2 px, as types.Flow; not on the
first image) and ``occlusion`` (mono8: 1 = occluded in the right image, 2 = in the previous image).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.geometry import se3
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import encode_image, image_message
from perception_nodes.messages.odometry import odometry_message
from perception_nodes.messages.primitives import header, vector
from perception_nodes.simulation.drive import DriveConfig, drive
from perception_nodes.simulation.render.stereo_view import StereoSample
from perception_nodes.simulation.scene.street_world import StreetWorld
from perception_nodes.types import FloatArray, Odometry, StereoRig

__all__ = ['write_rendered_bag']

OCCLUDED_RIGHT, OCCLUDED_BEFORE = 1, 2


def write_rendered_bag(
    path: str | Path, seed: int, frames: int, *, rig: StereoRig | None = None,
    config: DriveConfig | None = None, world: StreetWorld | None = None,
    progress: Callable[[int, int], None] | None = None, compression: str = 'zstd',
) -> Path:
    """Render a sequence into a new bag.

    Parameters
    ----------
    path : folder to be. seed, frames, rig, config, world : see simulation.drive.
    progress : called with (frames done, frames).

    Raises
    ------
    PerceptionError
        If the folder exists or cannot be written, or frames is not positive.
    """
    factory = BagFactory()
    path, previous = Path(path), None
    with BagWriter(path, compression=compression) as writer:
        writer.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', latched=True)
        for index, sample in enumerate(drive(seed, frames, rig=rig, config=config, world=world)):
            if index == 0:
                writer.write('/tf_static', sample.stamp_ns, _transforms(sample, factory))
            for topic, message in _messages(sample, previous, factory).items():
                writer.write(topic, sample.stamp_ns, message)
            previous = sample
            if progress is not None:
                progress(index + 1, frames)
    return path


def _messages(
    sample: StereoSample, previous: StereoSample | None, factory: BagFactory
) -> dict[str, Any]:
    """All messages of one sample, by topic."""
    stamp, frame = sample.stamp_ns, sample.left.frame_id

    def truth(pixels: Any, encoding: str) -> Any:
        return encode_image(np.ascontiguousarray(pixels), encoding, factory, stamp, frame)

    messages = {
        '/stereo/left/image_rect': image_message(sample.left, factory),
        '/stereo/right/image_rect': image_message(sample.right, factory),
        '/stereo/left/camera_info': info_from_camera(sample.rig.left, factory, stamp),
        '/stereo/right/camera_info': info_from_camera(sample.rig.right, factory, stamp),
        '/ground_truth/odometry': odometry_message(_odometry(sample, previous), factory),
        '/ground_truth/depth': truth(sample.depth_m, '32FC1'),
        '/ground_truth/disparity': truth(sample.disparity_px, '32FC1'),
        '/ground_truth/labels': truth(sample.labels, 'mono8'),
    }
    occluded = sample.occluded * np.uint8(OCCLUDED_RIGHT)
    if sample.flow_px is not None and sample.flow_occluded is not None:
        messages['/ground_truth/flow'] = truth(sample.flow_px, '32FC2')
        occluded |= sample.flow_occluded * np.uint8(OCCLUDED_BEFORE)
    messages['/ground_truth/occlusion'] = truth(occluded, 'mono8')
    return messages


def _odometry(sample: StereoSample, previous: StereoSample | None) -> Odometry:
    """Pose of a sample and the speed since the one before; no covariance, it is exact."""
    twist: FloatArray = np.zeros(6)
    if previous is not None:
        step = se3.inverse(previous.odom_from_base) @ sample.odom_from_base
        twist = se3.log(step) / ((sample.stamp_ns - previous.stamp_ns) * 1e-9)
    none = np.zeros((6, 6))
    return Odometry(
        sample.stamp_ns, 'odom', 'base_link', sample.odom_from_base, none, twist, none
    )


def _transforms(sample: StereoSample, factory: BagFactory) -> Any:
    """Where both cameras sit on the vehicle, tf2_msgs/TFMessage."""
    right_in_left = np.eye(4)
    right_in_left[0, 3] = sample.rig.baseline_m
    base_from_left = sample.base_from_camera
    transforms = []
    for camera, base_from_camera in (
        (sample.rig.left, base_from_left), (sample.rig.right, base_from_left @ right_in_left)
    ):
        x, y, z, w = (float(v) for v in se3.to_quaternion_xyzw(base_from_camera))
        transforms.append(factory.make(
            'geometry_msgs/msg/TransformStamped',
            header=header(factory, sample.stamp_ns, 'base_link'),
            child_frame_id=camera.frame_id,
            transform=factory.make(
                'geometry_msgs/msg/Transform',
                translation=vector(factory, base_from_camera[:3, 3]),
                rotation=factory.make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
            ),
        ))
    return factory.make('tf2_msgs/msg/TFMessage', transforms=transforms)
