# SPDX-License-Identifier: Apache-2.0
"""KITTI's semantic benchmark: images of KITTI stereo 2015 with Cityscapes' label ids.

``ROOT/training/image_2/NNNNNN_10.png`` and ``ROOT/training/semantic/NNNNNN_10.png`` (uint8 ids 0
to 33), read as CamVid's 11 classes.
H. Alhaija et al., "Augmented reality meets computer vision", IJCV 2018.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.datasets.files import list_files, read_gray, read_rgb, require_folder
from perception_nodes.datasets.samples import LabelledImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import UNLABELLED, DataError, Image

__all__ = ['CITYSCAPES_IDS', 'KittiSemantic']

CITYSCAPES_IDS: dict[str, tuple[int, ...]] = {
    'Sky': (23,),
    'Building': (11,),
    'Pole': (17, 18),
    'Road': (7,),
    'Pavement': (8,),
    'Tree': (21,),
    'SignSymbol': (19, 20),  # traffic light, traffic sign
    'Fence': (12, 13, 14),  # wall, fence, guard rail
    'Car': (26, 27, 28, 29, 30),  # car, truck, bus, caravan, trailer
    'Pedestrian': (24,),
    'Bicyclist': (25, 33),  # rider, bicycle
}
"""Cityscapes' ids of each of CamVid's classes.

The rest is unlabelled here: what CamVid has no class for (parking, rail track, bridge, tunnel,
terrain, train) or has in more than one (motorcycle, ground, static and dynamic objects).
"""
_LARGEST_ID = 33


class KittiSemantic(SampleSequence[Path, LabelledImage]):
    """The images that have labels."""

    classes = CLASSES

    def __init__(self, root: Path) -> None:
        labels = require_folder(Path(root), 'training', 'semantic', layout='KITTI semantic')
        self._images = require_folder(Path(root), 'training', 'image_2', layout='KITTI semantic')
        super().__init__(list_files(labels, '*.png'))
        self._table = np.full(256, UNLABELLED, np.uint8)
        for index, name in enumerate(CLASSES):
            self._table[list(CITYSCAPES_IDS[name])] = index

    def read(self, entry: Path) -> LabelledImage:
        """Read an image and its labels."""
        ids = read_gray(entry)
        if ((ids > _LARGEST_ID) & (ids != UNLABELLED)).any():
            raise DataError(f'{entry}: Cityscapes has no label ids above {_LARGEST_ID}')
        image = Image(read_rgb(self._images / entry.name))
        return LabelledImage(entry.stem, image, self._table[ids])
