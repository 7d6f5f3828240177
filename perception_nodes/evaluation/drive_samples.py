# SPDX-License-Identifier: Apache-2.0
"""Samples of a KITTI sequence with LiDAR depth and poses, for five tasks."""

import numpy as np

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.samples import DriveFrame
from perception_nodes.evaluation.samples import GroundTruth, Sample
from perception_nodes.geometry.se3 import inverse
from perception_nodes.geometry.stereo import disparity_from_depth
from perception_nodes.geometry.warp import flow_from_depth_and_motion
from perception_nodes.pipelines.perception import StereoFrame
from perception_nodes.pipelines.visual_odometry.config import OPTICAL_TO_BASE
from perception_nodes.types import FloatArray, PerceptionError

__all__ = [
    'DRIVE_FROM_CAMERA', 'LIDAR_NOTE', 'drive_flow_sample', 'drive_sample', 'steps_with_depth',
]

LIDAR_NOTE = (
    'Frames that have a LiDAR scan; single scans bleed at silhouettes, so that some of the error '
    'is theirs.'
)
# base_link lies in the left camera.
DRIVE_FROM_CAMERA = np.array(OPTICAL_TO_BASE)


def drive_sample(drive: KittiDrive, number: int) -> Sample:
    """Read a pair with its pose and, if it has a scan, disparity and depth."""
    given = drive[number]
    disparity = None
    if given.depth_m is not None:
        rig = given.rig
        disparity = disparity_from_depth(given.depth_m, rig.focal_px, rig.baseline_m)
    first_from_left = inverse(drive.entries[0].world_from_left) @ given.world_from_left
    truth = GroundTruth(
        disparity_px=disparity, depth_m=given.depth_m,
        odom_from_base=DRIVE_FROM_CAMERA @ first_from_left @ inverse(DRIVE_FROM_CAMERA),
    )
    return Sample(given.name, StereoFrame(given.left, given.right, given.rig), truth)


def drive_flow_sample(drive: KittiDrive, number: int) -> Sample:
    """Read a step from the frame before; its flow is that of depth and motion."""
    older, newer = drive[number - 1], drive[number]
    older_from_newer = inverse(older.world_from_left) @ newer.world_from_left
    flow = flow_from_depth_and_motion(_depth(newer), newer.rig.left.rectified_k, older_from_newer)
    return Sample(
        newer.name, StereoFrame(newer.left, newer.right, newer.rig),
        GroundTruth(flow_px=flow, flow_from_ns=older.left.stamp_ns), before=older.left,
    )


def steps_with_depth(drive: KittiDrive) -> list[int]:
    """Return the numbers of the frames with a scan that follow right on another frame."""
    names = [int(entry.name) for entry in drive.entries]
    return [n for n in drive.with_depth() if n > 0 and names[n - 1] == names[n] - 1]


def _depth(frame: DriveFrame) -> FloatArray:
    if frame.depth_m is None:
        raise PerceptionError(f'frame {frame.name} has no LiDAR depth any more')
    return frame.depth_m
