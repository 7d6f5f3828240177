# SPDX-License-Identifier: Apache-2.0
"""Road scenes with classes of their own, or fewer than the model's, for segmentation."""

from pathlib import Path

from perception_nodes.datasets.idd_lite import IddLite
from perception_nodes.datasets.kitti_road import KittiRoad
from perception_nodes.datasets.kitti_semantic import KittiSemantic
from perception_nodes.evaluation.samples import Source
from perception_nodes.types import PerceptionError

__all__ = ['idd_lite', 'kitti_road', 'kitti_semantic']

_MERGED_NOTE = (
    "A class's probability is the sum of those of the model's classes that it takes in."
)


def idd_lite(root: Path, split: str | None) -> Source:
    """Indian roads with 7 classes."""
    images = IddLite(root, split or 'train')
    return Source(images, classes=images.classes, merged=images.merged, note=_MERGED_NOTE)


def kitti_road(root: Path, split: str | None) -> Source:
    """The road and what is not."""
    _one_set('kitti_road', split)
    images = KittiRoad(root)
    return Source(images, classes=images.classes, merged=images.merged, note=_MERGED_NOTE)


def kitti_semantic(root: Path, split: str | None) -> Source:
    """Street scenes with Cityscapes' labels as CamVid's classes."""
    _one_set('kitti_semantic', split)
    images = KittiSemantic(root)
    note = "Cityscapes' labels as CamVid's classes; those that it has no class for do not count."
    return Source(images, classes=images.classes, note=note)


def _one_set(dataset: str, split: str | None) -> None:
    if split not in (None, 'training'):
        raise PerceptionError(f"{dataset} has no split '{split}': its ground truth is one set")
