# SPDX-License-Identifier: Apache-2.0
"""Masks of the road on KITTI images.

``ROOT/training/image_2/NNNNNN_10.png`` and ``ROOT/training/road/NNNNNN_10.png``: 1 road, 0 not,
255 = not annotated.
"""

from pathlib import Path

from perception_nodes.datasets.files import list_files, read_gray, read_rgb, require_folder
from perception_nodes.datasets.samples import LabelledImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import UNLABELLED, DataError, Image

__all__ = ['CLASSES', 'MERGED', 'KittiRoad']

MERGED: dict[str, tuple[str, ...]] = {
    'NotRoad': (
        'Sky', 'Building', 'Pole', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car',
        'Pedestrian', 'Bicyclist',
    ),
    'Road': ('Road',),
}  # fmt: skip
"""Which of CamVid's 11 classes each class takes in, in the order of the ids."""
CLASSES = tuple(MERGED)


class KittiRoad(SampleSequence[Path, LabelledImage]):
    """The images that have a mask of the road."""

    classes = CLASSES
    merged = MERGED

    def __init__(self, root: Path) -> None:
        masks = require_folder(Path(root), 'training', 'road', layout='KITTI road')
        self._images = require_folder(Path(root), 'training', 'image_2', layout='KITTI road')
        super().__init__(list_files(masks, '*.png'))

    def read(self, entry: Path) -> LabelledImage:
        """Read an image and its mask."""
        labels = read_gray(entry)
        if ((labels > 1) & (labels != UNLABELLED)).any():
            raise DataError(f'{entry}: a mask of the road holds 0, 1 and 255 only')
        return LabelledImage(entry.stem, Image(read_rgb(self._images / entry.name)), labels)
