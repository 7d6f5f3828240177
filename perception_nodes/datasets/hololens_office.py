# SPDX-License-Identifier: Apache-2.0
"""A walk with a HoloLens through an office: colour, registered depth, poses, shared views.

``ROOT/images/NNNNN.jpg``, ``depth/NNNNN.png`` (uint16 mm at half the size, 0 = none; registered
to the colour image), ``poses.txt`` (4x4 camera to world, a row an image), ``K.txt`` (of the
colour image) and ``overlap.png`` (N x N: share of view i that is seen in view j, times 255).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import (
    list_files,
    read_gray,
    read_matrix,
    read_png16,
    read_rgb,
    require_folder,
)
from perception_nodes.datasets.samples import PosedImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, DataError, FloatArray, Image

__all__ = ['SPLITS', 'HololensOffice']

SPLITS = ('fit', 'held_out')
_FRAME_NS = 1_000_000_000
# Of the walk; a corner of the office that the rest of the walk sees little of.
_HELD_OUT = (0.523, 0.63)
_MOST_SHARED = 0.25


class HololensOffice(SampleSequence[int, PosedImage]):
    """Key frames in order, nominally a second apart (the data set has no times).

    Parameters
    ----------
    split : held_out, one stretch of the walk; fit, all that share less than a quarter of the view
        with each of its images; None: all.

    Attributes
    ----------
    shared_view : float32 [N, N] of the whole walk, share of view i that is seen in view j.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        if split not in (None, *SPLITS):
            raise DataError(f"the office has no split '{split}': {', '.join(SPLITS)}")
        self.root = Path(root)
        images = require_folder(self.root, 'images', layout='HoloLens office')
        require_folder(self.root, 'depth', layout='HoloLens office')
        self._files = list_files(images, '*.jpg')
        count = len(self._files)
        self._k = read_matrix(self.root / 'K.txt', 3, 3)
        self._poses = read_matrix(self.root / 'poses.txt', count, 16).reshape(count, 4, 4)
        self.shared_view = self._read_shared_view(count)
        super().__init__(_part(self.shared_view, split))

    def read(self, entry: int) -> PosedImage:
        """Read one image; its depth is enlarged to its size, each value as a block of four."""
        path = self._files[entry]
        image = Image(read_rgb(path), stamp_ns=entry * _FRAME_NS)
        depth_path = self.root / 'depth' / f'{path.stem}.png'
        half = read_png16(depth_path)
        if half.shape != (image.height // 2, image.width // 2):
            raise DataError(
                f'{depth_path} is {half.shape[1]}x{half.shape[0]}, not half of '
                f'{image.width}x{image.height}'
            )
        depth_m = half.repeat(2, 0).repeat(2, 1).astype(np.float32) / np.float32(1000.0)
        depth_m[depth_m == 0] = np.nan
        camera = Camera(
            image.width, image.height, self._k, np.hstack([self._k, np.zeros((3, 1))])
        )
        return PosedImage(path.stem, image, camera, depth_m, self._poses[entry])

    def _read_shared_view(self, count: int) -> FloatArray:
        path = self.root / 'overlap.png'
        matrix = read_gray(path)
        if matrix.shape != (count, count):
            raise DataError(
                f'{path} is {matrix.shape[0]}x{matrix.shape[1]} but there are {count} images'
            )
        shared: FloatArray = matrix.astype(np.float32) / np.float32(255.0)
        return shared


def _part(shared_view: FloatArray, split: str | None) -> Sequence[int]:
    """Numbers of the images of a split."""
    count = len(shared_view)
    first, end = (round(share * count) for share in _HELD_OUT)
    if split is None:
        return range(count)
    if split == 'held_out':
        return range(first, end)
    mutual = np.maximum(shared_view, shared_view.T)
    apart = (mutual[:, first:end] < _MOST_SHARED).all(axis=1)
    return [number for number in range(count) if apart[number]]
