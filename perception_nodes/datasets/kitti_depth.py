# SPDX-License-Identifier: Apache-2.0
"""KITTI depth in the layout of the devkit's depth_selection.

``ROOT/image/*.png``, ``ROOT/groundtruth_depth/*.png`` (uint16 / 256 m, 0 = none) and either
``ROOT/intrinsics/*.txt`` (9 numbers) or one ``ROOT/intrinsics.txt``.
J. Uhrig et al., "Sparsity invariant CNNs", 3DV 2017.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import (
    list_files,
    read_kitti_map,
    read_matrix,
    read_rgb,
    require_folder,
)
from perception_nodes.datasets.samples import DepthImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import Camera, FloatArray, Image

__all__ = ['KittiDepth']

_FRAME_NS = 100_000_000


class KittiDepth(SampleSequence[tuple[int, Path], DepthImage]):
    """Colour images with projected LiDAR depth (about 3 % of the pixels)."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.depth = require_folder(self.root, 'groundtruth_depth', layout='KITTI depth')
        images = require_folder(self.root, 'image', layout='KITTI depth')
        super().__init__(list(enumerate(list_files(images, '*.png'))))

    def read(self, entry: tuple[int, Path]) -> DepthImage:
        """Read one image, its depth and its intrinsics."""
        number, path = entry
        # depth_selection writes the kind of the image into the middle of its name.
        name = path.name.replace('_image_0', '_groundtruth_depth_0', 1)
        truth = read_kitti_map(self.depth / name)
        image = Image(read_rgb(path), stamp_ns=number * _FRAME_NS)
        k = self._intrinsics(path.stem)
        camera = Camera(image.width, image.height, k, np.hstack([k, np.zeros((3, 1))]))
        return DepthImage(path.stem, image, camera, truth)

    def _intrinsics(self, name: str) -> FloatArray:
        own, common = self.root / 'intrinsics' / f'{name}.txt', self.root / 'intrinsics.txt'
        path = own if own.is_file() else common
        return read_matrix(path, 3, 3)
