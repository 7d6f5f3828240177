# SPDX-License-Identifier: Apache-2.0
"""KITTI stereo 2015 in the devkit's layout.

``ROOT/training/{image_2,image_3,disp_noc_0}/NNNNNN_10.png``; calibration from
``training/calib_cam_to_cam/NNNNNN.txt`` or, one for all, ``ROOT/calib.txt`` (``fx``,
``baseline_m``). M. Menze and A. Geiger, "Object scene flow for autonomous vehicles", CVPR 2015.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import list_files, read_kitti_map, read_rgb, require_folder
from perception_nodes.datasets.kitti_calibration import (
    projection,
    read_calibration,
    rig_of_projections,
    single_number,
)
from perception_nodes.datasets.samples import StereoPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, Image, StereoRig

__all__ = ['KittiStereo']


class KittiStereo(SampleSequence[Path, StereoPair]):
    """The pairs of the training set that have ground truth not occluded; no frames in sequence."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.training = require_folder(self.root, 'training', layout='KITTI stereo')
        truth = require_folder(self.root, 'training', 'disp_noc_0', layout='KITTI stereo')
        super().__init__(list_files(truth, '*_10.png'))

    def read(self, entry: Path) -> StereoPair:
        """Read one pair; the truth holds only pixels that both cameras see."""
        left = Image(read_rgb(self.training / 'image_2' / entry.name))
        right = Image(read_rgb(self.training / 'image_3' / entry.name))
        disparity = read_kitti_map(entry)
        rig = self._rig(entry.stem, left.width, left.height)
        return StereoPair(entry.stem, left, right, rig, disparity, np.isfinite(disparity))

    def _rig(self, name: str, width: int, height: int) -> StereoRig:
        frame_calibration = self.training / 'calib_cam_to_cam' / f'{name.split("_")[0]}.txt'
        if frame_calibration.is_file():
            values = read_calibration(frame_calibration)
            left, right = (
                projection(values, f'P_rect_{camera}', frame_calibration)
                for camera in ('02', '03')
            )
            return rig_of_projections(width, height, left, right)
        summary = self.root / 'calib.txt'
        values = read_calibration(summary)
        focal, baseline = (single_number(values, key, summary) for key in ('fx', 'baseline_m'))
        # The summary file leaves the principal point out; disparity does not depend on it.
        centre = (0.5 * (width - 1), 0.5 * (height - 1))
        return StereoRig(
            Camera.pinhole(width, height, focal, focal, *centre),
            Camera.pinhole(width, height, focal, focal, *centre, baseline_m=baseline),
        )
