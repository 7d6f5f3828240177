# SPDX-License-Identifier: Apache-2.0
"""Road scenes of IDD, whose 7 classes are unions of the network's 11, beside those of CamVid.

An id up to 10 is a class, 11 + m any of the classes of IDD's class m, 255 none.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.datasets.idd_lite import MERGED, IddLite
from perception_nodes.training.segmentation_batches import Scene
from perception_nodes.types import UNLABELLED

# Towards the size that things have in CamVid's images, which are 480 columns wide; less than there
# would be to do, for IDD-Lite is also evaluated as it is.
MAGNIFY = 1.25
UNSQUEEZED_WIDTH = 404


def merged_classes() -> Tensor:
    """Bool M K: which of the network's K classes each of IDD's M classes takes in."""
    return torch.tensor([[name in parts for name in CLASSES] for parts in MERGED.values()])


def read_idd(root: Path, split: str) -> list[Scene]:
    """Read a split of IDD-Lite into memory; every other image is stretched to its true aspect.

    IDD-Lite's images are squeezed: a network that is to serve IDD as it is and cameras as they are
    learns from either.
    """
    scenes = []
    images = IddLite(root, split)
    for number, (sample, drive) in enumerate(zip(images, images.drives, strict=True)):
        image, ids = sample.image.data, sample.labels
        if number % 2:
            size = (UNSQUEEZED_WIDTH, image.shape[0])
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
            ids = cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        labels = np.where(ids == UNLABELLED, ids, ids + len(CLASSES)).astype(np.uint8)
        scenes.append(Scene(image, labels, f'idd_{drive}', MAGNIFY))
    return scenes
