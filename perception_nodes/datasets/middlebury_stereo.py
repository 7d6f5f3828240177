# SPDX-License-Identifier: Apache-2.0
"""Middlebury stereo: ``ROOT/NAME/{im0.png,im1.png,disp0.pfm,mask0nocc.png}``.

``calib.txt`` of the 2014 and 2021 sets is read where it is there. The older sets have none: they
get a nominal rig, enough for disparity (which is what is scored) but not for metres.
D. Scharstein and R. Szeliski, IJCV 2002.
"""

import re
from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import (
    read_gray_image,
    read_pfm,
    read_rgb,
    read_text,
    require_folder,
)
from perception_nodes.datasets.samples import StereoPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, DataError, Image, StereoRig

__all__ = ['MiddleburyStereo']

_NOMINAL_BASELINE_M = 0.16
_NUMBER = r'[0-9]{1,9}(?:\.[0-9]{1,12})?'
_SEEN_BY_BOTH = 255


class MiddleburyStereo(SampleSequence[Path, StereoPair]):
    """The scenes below a root, or the one scene that the root is."""

    def __init__(self, root: Path) -> None:
        folder = require_folder(Path(root), layout='Middlebury stereo')
        scenes = sorted(path.parent for path in (*folder.glob('disp0.pfm'),
                                                 *folder.glob('*/disp0.pfm')))  # fmt: skip
        if not scenes:
            raise DataError(
                f'{root} is not a Middlebury stereo folder: no NAME/disp0.pfm; '
                'give its root with --root'
            )
        super().__init__(scenes)

    def read(self, entry: Path) -> StereoPair:
        """Read one scene; where there is no mask, every pixel with truth counts as visible."""
        left, right = (Image(read_rgb(entry / f'im{side}.png')) for side in (0, 1))
        disparity = read_pfm(entry / 'disp0.pfm')
        disparity[~np.isfinite(disparity)] = np.nan
        mask_path = entry / 'mask0nocc.png'
        if mask_path.is_file():
            visible = read_gray_image(mask_path) == _SEEN_BY_BOTH
        else:
            visible = np.isfinite(disparity)
        rig = _rig(entry / 'calib.txt', left.width, left.height)
        return StereoPair(entry.name, left, right, rig, disparity, visible)


def _rig(calibration: Path, width: int, height: int) -> StereoRig:
    focal, baseline = float(width), _NOMINAL_BASELINE_M
    if calibration.is_file():
        text = read_text(calibration)
        patterns = (rf'cam0=\[({_NUMBER})\b', rf'baseline=({_NUMBER})\b')
        found = [re.search(pattern, text) for pattern in patterns]
        if None in found:
            raise DataError(f'{calibration}: cam0=[...] and baseline= are wanted')
        focal, baseline = (float(match.group(1)) for match in found if match)
        baseline /= 1000.0
    centre = (0.5 * (width - 1), 0.5 * (height - 1))
    return StereoRig(
        Camera.pinhole(width, height, focal, focal, *centre),
        Camera.pinhole(width, height, focal, focal, *centre, baseline_m=baseline),
    )
