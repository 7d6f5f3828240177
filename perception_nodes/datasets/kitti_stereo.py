# SPDX-License-Identifier: Apache-2.0
"""KITTI stereo 2015 in the devkit's layout.

``ROOT/training/{image_2,image_3,disp_noc_0}/NNNNNN_10.png``; calibration from
``training/calib_cam_to_cam/NNNNNN.txt`` or, one for all, ``ROOT/calib.txt`` (``fx``,
``baseline_m``). M. Menze and A. Geiger, "Object scene flow for autonomous vehicles", CVPR 2015.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import list_files, read_kitti_map, read_rgb, require_folder
from perception_nodes.datasets.samples import StereoPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, FloatArray, Image, PerceptionError, StereoRig

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
            left, right = (_projection(values, frame_calibration, name) for name in ('02', '03'))
            k = left[:, :3]
            return StereoRig(
                Camera(width, height, k, np.hstack([k, np.zeros((3, 1))])),
                Camera(width, height, k, np.hstack([k, (right - left)[:, 3:] * [[1], [0], [0]]])),
            )
        values = read_calibration(self.root / 'calib.txt')
        focal, baseline = (_number(values, key, self.root / 'calib.txt')
                           for key in ('fx', 'baseline_m'))  # fmt: skip
        # The summary file leaves the principal point out; disparity does not depend on it.
        centre = (0.5 * (width - 1), 0.5 * (height - 1))
        return StereoRig(
            Camera.pinhole(width, height, focal, focal, *centre),
            Camera.pinhole(width, height, focal, focal, *centre, baseline_m=baseline),
        )


def read_calibration(path: Path) -> dict[str, FloatArray]:
    """Read lines ``name: numbers`` (the colon may be missing); words that are no numbers go."""
    if not path.is_file():
        raise PerceptionError(f'{path} is missing: the calibration of the pairs')
    values = {}
    for line in path.read_text(encoding='utf-8').splitlines():
        name, _, numbers = line.strip().partition(' ')
        try:
            values[name.rstrip(':')] = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue
    return values


def _projection(values: dict[str, FloatArray], path: Path, camera: str) -> FloatArray:
    matrix = values.get(f'P_rect_{camera}', np.empty(0))
    if matrix.size != 12:
        raise PerceptionError(f'{path}: P_rect_{camera} with 12 numbers is missing')
    return matrix.reshape(3, 4)


def _number(values: dict[str, FloatArray], name: str, path: Path) -> float:
    number = values.get(name, np.empty(0))
    if number.size != 1 or not number[0] > 0:
        raise PerceptionError(f"{path}: '{name}' with one positive number is missing")
    return float(number[0])
