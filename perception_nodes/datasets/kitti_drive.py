# SPDX-License-Identifier: Apache-2.0
"""A drive in the layout of KITTI odometry, with LiDAR depth where there is some.

``ROOT/{image_0,image_1}/NNNNNN.{png,jpg}`` are rectified grey pairs; ``calib.txt`` holds P0 and
P1, ``times.txt`` seconds and ``poses.txt`` (or KITTI's ``../../poses/NN.txt``) the left camera's
pose, a row a frame. ``ids.txt``, if it is there, names the frames that the rows belong to;
``lidar_depth/NNNNNN.png`` is uint16 / 256 m, 0 = none.
A. Geiger, P. Lenz, R. Urtasun, "Are we ready for autonomous driving?", CVPR 2012.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import (
    list_files,
    read_gray,
    read_kitti_map,
    read_text,
    require_folder,
)
from perception_nodes.datasets.kitti_calibration import (
    projection,
    read_calibration,
    rig_of_projections,
)
from perception_nodes.datasets.samples import DriveFrame
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import DataError, FloatArray, Image, StereoRig

__all__ = ['SPLITS', 'KittiDrive']

SPLITS = ('fit', 'held_out')
# Shares of the drive's frames; what lies between is in neither: one is seen from the other.
_FIT_UNTIL, _HELD_OUT_FROM = 0.65, 0.74


@dataclass(frozen=True)
class _Entry:
    """One frame; world_from_left : float64 [4, 4]."""

    name: str
    stamp_ns: int
    world_from_left: FloatArray


class KittiDrive(SampleSequence[_Entry, DriveFrame]):
    """The frames of a drive in order of time.

    Parameters
    ----------
    root : folder of one sequence.
    split : fit, the first part of the road; held_out, the last one, with a gap between them;
        None: all. KITTI parts drives, not frames of them; a single drive is parted by place.

    Raises
    ------
    DataError
        If the root is not of this layout, a file is missing or the numbers of rows disagree; on
        reading, if an image is missing or broken.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        if split not in (None, *SPLITS):
            raise DataError(f"a KITTI drive has no split '{split}': {', '.join(SPLITS)}")
        self.root = Path(root)
        images = require_folder(self.root, 'image_0', layout='KITTI odometry')
        require_folder(self.root, 'image_1', layout='KITTI odometry')
        self._files = {path.stem: path for path in list_files(images, '*.*')}
        names = self._names()
        times_s = _rows(self.root / 'times.txt', 1, len(names))[:, 0]
        poses = _rows(self._pose_file(), 12, len(names)).reshape(-1, 3, 4)
        calibration = self.root / 'calib.txt'
        values = read_calibration(calibration)
        self._projections = tuple(projection(values, name, calibration) for name in ('P0', 'P1'))
        super().__init__([
            _Entry(name, round(1e9 * float(time_s)), np.vstack([pose, [0, 0, 0, 1]]))
            for name, time_s, pose in zip(names, times_s, poses, strict=True)
            if _in_split(name, names[-1], split)
        ])

    def with_depth(self) -> list[int]:
        """Return the numbers of the samples that have LiDAR depth."""
        return [
            number for number, entry in enumerate(self.entries)
            if self._depth_file(entry.name).is_file()
        ]

    def read(self, entry: _Entry) -> DriveFrame:
        """Read a pair, its pose and its LiDAR depth, if it has one."""
        path = self._files.get(entry.name)
        if path is None:
            raise DataError(f'{self.root / "image_0"} has no image {entry.name}')
        left = Image(read_gray(path), entry.stamp_ns)
        right = Image(read_gray(self.root / 'image_1' / path.name), entry.stamp_ns)
        depth = self._depth_file(entry.name)
        return DriveFrame(
            entry.name, left, right, self.rig(left.width, left.height), entry.world_from_left,
            read_kitti_map(depth) if depth.is_file() else None,
        )

    def rig(self, width: int, height: int) -> StereoRig:
        """Return the two cameras; the calibration does not say their image size."""
        return rig_of_projections(width, height, *self._projections)

    def _depth_file(self, name: str) -> Path:
        return self.root / 'lidar_depth' / f'{name}.png'

    def _names(self) -> list[str]:
        listing = self.root / 'ids.txt'
        if not listing.is_file():
            return list(self._files)
        names = read_text(listing).split()
        if not names or not all(re.fullmatch('[0-9]{1,12}', name) for name in names):
            raise DataError(f'{listing}: wanted one frame number a line')
        return names

    def _pose_file(self) -> Path:
        """Return where this layout, or the whole data set's, keeps the poses."""
        folder = self.root.absolute()
        whole = folder.parent.parent / 'poses' / f'{folder.name}.txt'
        own = self.root / 'poses.txt'
        return whole if whole.is_file() and not own.is_file() else own


def _in_split(name: str, last: str, split: str | None) -> bool:
    if split is None:
        return True
    share = int(name) / max(int(last), 1)
    return share <= _FIT_UNTIL if split == 'fit' else share >= _HELD_OUT_FROM


def _rows(path: Path, columns: int, rows: int) -> FloatArray:
    """Read a text matrix with a row a frame, float64 [rows, columns]."""
    try:
        numbers = np.array(read_text(path).split(), dtype=np.float64)
    except ValueError:
        raise DataError(f'{path}: not a matrix of numbers') from None
    if numbers.size != rows * columns or not np.isfinite(numbers).all():
        raise DataError(
            f'{path}: wanted {columns} finite number(s) for each of {rows} frames'
        )
    return numbers.reshape(rows, columns)
