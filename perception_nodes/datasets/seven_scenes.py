# SPDX-License-Identifier: Apache-2.0
"""7-Scenes: ``frame-NNNNNN.{color.png|color.jpg,depth.png,pose.txt}`` in a folder or in seq-NN.

Depth is uint16 millimetres (0 and 65535 = none) of the depth camera and not registered to the
colour image; poses are camera to world. J. Shotton et al., "Scene coordinate regression forests
for camera relocalization in RGB-D images", CVPR 2013.
"""

import re
from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import (
    read_matrix,
    read_png16,
    read_rgb,
    read_text,
    require_folder,
)
from perception_nodes.datasets.samples import PosedImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, DataError, Image

__all__ = ['SevenScenes']

_FRAME_NS = 33_333_333
_FOCAL_PX = 585.0  # the value that the data set's page gives for 640 columns
_NO_DEPTH = 65535


class SevenScenes(SampleSequence[Path, PosedImage]):
    """Frames in order.

    Parameters
    ----------
    root : a sequence's folder, or a scene's with seq-NN and {Train,Test}Split.txt.
    split : train or test picks the scene's sequences; None takes all.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = require_folder(Path(root), layout='7-Scenes')
        frames = [path for folder in self._folders(split)
                  for path in sorted(folder.glob('frame-*.pose.txt'))]  # fmt: skip
        if not frames:
            raise DataError(
                f'{root} is not a 7-Scenes folder: no frame-*.pose.txt; give its root with --root'
            )
        super().__init__(frames)

    def read(self, entry: Path) -> PosedImage:
        """Read colour, depth and pose of one frame."""
        name = entry.name.removesuffix('.pose.txt')
        colour = entry.with_name(f'{name}.color.png')
        if not colour.is_file():
            colour = entry.with_name(f'{name}.color.jpg')
        number = name.removeprefix('frame-')
        if not re.fullmatch('[0-9]{1,9}', number):
            raise DataError(f'{entry}: the frame has no number')
        image = Image(read_rgb(colour), stamp_ns=int(number) * _FRAME_NS)
        depth = read_png16(entry.with_name(f'{name}.depth.png')).astype(np.float32)
        depth[(depth == 0) | (depth == _NO_DEPTH)] = np.nan
        pose = read_matrix(entry, 4, 4)
        turn = pose[:3, :3]
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-2) or np.linalg.det(turn) < 0:
            raise DataError(f'{entry}: not a rigid motion')
        return PosedImage(name, image, self._camera(image), depth / np.float32(1000.0), pose)

    def _camera(self, image: Image) -> Camera:
        path = self.root / 'camera-intrinsics.txt'
        if path.is_file():
            k = read_matrix(path, 3, 3)
        else:
            focal = _FOCAL_PX * image.width / 640.0
            k = np.array([[focal, 0, image.width / 2], [0, focal, image.height / 2], [0, 0, 1.0]])
        return Camera(image.width, image.height, k, np.hstack([k, np.zeros((3, 1))]))

    def _folders(self, split: str | None) -> list[Path]:
        sequences = sorted(self.root.glob('seq-*'))
        if not sequences:
            return [self.root]
        if split is None:
            return sequences
        listing = self.root / f'{split.capitalize()}Split.txt'
        if not listing.is_file():
            raise DataError(f"7-Scenes has no split '{split}' here: {listing} is missing")
        numbers = re.findall('[0-9]{1,6}', read_text(listing))
        return [self.root / f'seq-{int(number):02d}' for number in numbers]
