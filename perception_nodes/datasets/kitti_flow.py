# SPDX-License-Identifier: Apache-2.0
"""KITTI flow 2015 in the devkit's layout.

``ROOT/training/image_2/NNNNNN_{10,11}.png`` and ``ROOT/training/flow_noc/NNNNNN_10.png``, 16-bit
RGB: u = (R - 2^15) / 64, v = (G - 2^15) / 64 pixels, B > 0 where valid.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import list_files, read_png16, read_rgb, require_folder
from perception_nodes.datasets.samples import FlowPair
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import FloatArray, Image

__all__ = ['KittiFlow', 'read_kitti_flow']

_FRAME_NS = 100_000_000


class KittiFlow(SampleSequence[Path, FlowPair]):
    """The training pairs with ground truth not occluded."""

    def __init__(self, root: Path) -> None:
        truth = require_folder(Path(root), 'training', 'flow_noc', layout='KITTI flow')
        self.images = require_folder(Path(root), 'training', 'image_2', layout='KITTI flow')
        super().__init__(list_files(truth, '*_10.png'))

    def read(self, entry: Path) -> FlowPair:
        """Read frames 10 and 11 and the flow on frame 10."""
        name = entry.stem.removesuffix('_10')
        return FlowPair(
            name,
            Image(read_rgb(self.images / f'{name}_10.png')),
            Image(read_rgb(self.images / f'{name}_11.png'), stamp_ns=_FRAME_NS),
            read_kitti_flow(entry),
        )


def read_kitti_flow(path: Path) -> FloatArray:
    """Read the devkit's flow PNG, float32 [H, W, 2] pixels, NaN where invalid."""
    coded = read_png16(path, channels=3)
    flow: FloatArray = (coded[..., :2].astype(np.float32) - np.float32(2**15)) / np.float32(64.0)
    flow[coded[..., 2] == 0] = np.nan
    return flow
