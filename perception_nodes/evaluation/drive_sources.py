# SPDX-License-Identifier: Apache-2.0
"""A KITTI drive with LiDAR depth and poses as what five tasks are evaluated on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.samples import DepthImage, DriveFrame, StereoPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.evaluation.samples import FlowStep, OdometryFrame, Source
from perception_nodes.geometry.se3 import inverse
from perception_nodes.geometry.stereo import disparity_from_depth
from perception_nodes.geometry.warp import flow_from_depth_and_motion
from perception_nodes.pipelines.visual_odometry.config import OPTICAL_TO_BASE
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['drive_flow', 'drive_mono_depth', 'drive_odometry', 'drive_stereo']

_LIDAR_NOTE = (
    'Frames that have a LiDAR scan; single scans bleed at silhouettes, so that some of the error '
    'is theirs.'
)


class _Frames(SampleSequence[int, Any]):
    """Some frames of a drive, each turned into a sample when it is asked for."""

    def __init__(
        self, drive: KittiDrive, numbers: Sequence[int], turn: Callable[[int], Any]
    ) -> None:
        if not numbers:
            raise PerceptionError(f'{drive.root} has no frame that this task can be evaluated on')
        super().__init__(numbers)
        self._turn = turn

    def read(self, entry: int) -> Any:
        """Read one sample."""
        return self._turn(entry)


def drive_stereo(root: Path, split: str | None) -> Source:
    """Pairs with the disparity of their LiDAR depth."""
    drive = KittiDrive(root, split)
    samples = _Frames(drive, drive.with_depth(), lambda number: _pair(drive[number]))
    return Source(samples, note=_LIDAR_NOTE)


def drive_mono_depth(root: Path, split: str | None) -> Source:
    """Left images with their LiDAR depth, in the range and crop of KITTI depth."""
    drive = KittiDrive(root, split)
    samples = _Frames(drive, drive.with_depth(), lambda number: _depth_image(drive[number]))
    settings = {'min_depth_m': 1e-3, 'max_depth_m': 80.0, 'crop': True}
    note = f'{_LIDAR_NOTE} Crop of Garg et al., ground truth from 1 mm to 80 m.'
    return Source(samples, settings=settings, note=note)


def drive_flow(root: Path, split: str | None) -> Source:
    """Steps of one frame to one with LiDAR depth; the flow is that of depth and motion."""
    drive = KittiDrive(root, split)
    names = [int(entry.name) for entry in drive.entries]
    numbers = [n for n in drive.with_depth() if n > 0 and names[n - 1] == names[n] - 1]
    note = (
        f'{_LIDAR_NOTE} Ground truth follows from depth and the poses: right for what stands '
        'still, and as good as the poses are.'
    )
    return Source(_Frames(drive, numbers, lambda n: _step(drive[n - 1], drive[n])), note=note)


def drive_odometry(root: Path, split: str | None) -> Source:
    """Pairs with the pose of a vehicle whose base_link lies in the left camera."""
    drive = KittiDrive(root, split)
    base_from_camera = np.array(OPTICAL_TO_BASE)
    world_from_first = drive.entries[0].world_from_left
    first_from_world = inverse(world_from_first)

    def frame(number: int) -> OdometryFrame:
        given = drive[number]
        first_from_left = first_from_world @ given.world_from_left
        pose = base_from_camera @ first_from_left @ inverse(base_from_camera)
        return OdometryFrame(given.name, given.left, given.right, given.rig, pose)

    return Source(
        _Frames(drive, range(len(drive)), frame), base_from_camera=base_from_camera,
        note='Poses of GPS and IMU; numbers that are missing in the drive are missing here.',
    )  # fmt: skip


def _pair(frame: DriveFrame) -> StereoPair:
    disparity = disparity_from_depth(_depth(frame), frame.rig.focal_px, frame.rig.baseline_m)
    return StereoPair(
        frame.name, frame.left, frame.right, frame.rig, disparity, np.isfinite(disparity)
    )


def _depth_image(frame: DriveFrame) -> DepthImage:
    return DepthImage(frame.name, frame.left, frame.rig.left, _depth(frame))


def _step(older: DriveFrame, newer: DriveFrame) -> FlowStep:
    older_from_newer = inverse(older.world_from_left) @ newer.world_from_left
    flow = flow_from_depth_and_motion(_depth(newer), newer.rig.left.rectified_k, older_from_newer)
    return FlowStep(newer.name, older.left, newer.left, flow)


def _depth(frame: DriveFrame) -> FloatArray:
    if frame.depth_m is None:
        raise PerceptionError(f'frame {frame.name} has no LiDAR depth any more')
    return frame.depth_m
