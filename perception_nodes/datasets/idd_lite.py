# SPDX-License-Identifier: Apache-2.0
"""IDD-Lite: Indian roads with 7 merged classes.

``ROOT/leftImg8bit/SPLIT/DRIVE/*_image.jpg`` and ``ROOT/gtFine/SPLIT/DRIVE/*_label.png`` (ids 0 to
6, 255 = none). The images are 320x227 of 1920x1080: squeezed in x by 0.79.
G. Varma et al., "IDD: a dataset for exploring problems of autonomous navigation in unconstrained
environments", WACV 2019.
"""

from pathlib import Path

from perception_nodes.datasets.files import list_files, read_gray, read_rgb, require_folder
from perception_nodes.datasets.samples import LabelledImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.types import UNLABELLED, DataError, Image

__all__ = ['CLASSES', 'MERGED', 'SPLITS', 'IddLite']

MERGED: dict[str, tuple[str, ...]] = {
    'Drivable': ('Road',),
    'NonDrivable': ('Pavement',),
    'LivingThings': ('Pedestrian', 'Bicyclist'),
    'Vehicles': ('Car',),
    'RoadsideObjects': ('Fence', 'Pole', 'SignSymbol'),
    'FarObjects': ('Building', 'Tree'),
    'Sky': ('Sky',),
}
"""Which of CamVid's 11 classes each class takes in, in the order of the ids.

A class's probability is the sum of those of its parts; the other way there is no map. IDD counts
kerbs and verges as NonDrivable, riders as LivingThings, but their two-wheelers as Vehicles, which
CamVid has in Bicyclist.
"""
CLASSES = tuple(MERGED)
SPLITS = ('train', 'val', 'test', 'fit', 'held_out')
_EVERY = 5


class IddLite(SampleSequence[tuple[Path, Path], LabelledImage]):
    """Labelled images, drive by drive.

    Parameters
    ----------
    split : train, val, test: a folder of the data set. held_out: every fifth drive of train, fit:
        the others; a folder is a drive, and its images are alike.

    Attributes
    ----------
    drives : of each entry, the folder's name.
    """

    classes = CLASSES
    merged = MERGED

    def __init__(self, root: Path, split: str = 'train') -> None:
        if split not in SPLITS:
            raise DataError(f"IDD-Lite has no split '{split}': {', '.join(SPLITS)}")
        own = 'train' if split in ('fit', 'held_out') else split
        images = require_folder(Path(root), 'leftImg8bit', own, layout='IDD-Lite')
        labels = require_folder(Path(root), 'gtFine', own, layout='IDD-Lite')
        files = list_files(images, '*/*_image.jpg')
        drives = sorted({path.parent.name for path in files})
        held_out = set(drives[::_EVERY])
        kept = [
            path for path in files
            if own == split or (path.parent.name in held_out) == (split == 'held_out')
        ]
        self.drives = tuple(path.parent.name for path in kept)
        super().__init__([(path, labels / path.parent.name / _label_name(path)) for path in kept])

    def read(self, entry: tuple[Path, Path]) -> LabelledImage:
        """Read an image and its labels."""
        image_path, label_path = entry
        labels = read_gray(label_path)
        known = labels[labels != UNLABELLED]
        if known.size and known.max() >= len(CLASSES):
            raise DataError(
                f'{label_path}: class id {known.max()} is out of range 0..{len(CLASSES) - 1}'
            )
        name = f'{image_path.parent.name}/{image_path.stem.removesuffix("_image")}'
        return LabelledImage(name, Image(read_rgb(image_path)), labels)


def _label_name(image: Path) -> str:
    return f'{image.stem.removesuffix("_image")}_label.png'
