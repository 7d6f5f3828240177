# SPDX-License-Identifier: Apache-2.0
"""A walk with loops: ``ROOT/images/*`` in visiting order, ``ROOT/loop_ground_truth.png``.

The N x N matrix is 255 where image i and image j show one place (the layout of several place
recognition sets, among them New College and City Centre of FAB-MAP).
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import list_files, read_gray, read_rgb, require_folder
from perception_nodes.datasets.samples import PlaceImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import DataError, Image

__all__ = ['LoopMatrix']

_FRAME_NS = 1_000_000_000
_IMAGES = ('.jpg', '.jpeg', '.png')


class LoopMatrix(SampleSequence[tuple[int, Path], PlaceImage]):
    """Images in visiting order, a second apart.

    Attributes
    ----------
    same_place : bool [N, N], symmetric.
    """

    def __init__(self, root: Path) -> None:
        folder = require_folder(Path(root), 'images', layout='loop matrix')
        files = [path for path in list_files(folder, '*') if path.suffix.lower() in _IMAGES]
        if not files:
            raise DataError(f'{folder} holds no image')
        super().__init__(list(enumerate(files)))
        path = Path(root) / 'loop_ground_truth.png'
        matrix = read_gray(path) > 0
        if matrix.shape != (len(files), len(files)):
            raise DataError(
                f'{path} is {matrix.shape[0]}x{matrix.shape[1]} but there are {len(files)} images'
            )
        self.same_place = np.asarray(matrix | matrix.T)

    def read(self, entry: tuple[int, Path]) -> PlaceImage:
        """Read one image."""
        number, path = entry
        return PlaceImage(path.stem, Image(read_rgb(path), stamp_ns=number * _FRAME_NS))
