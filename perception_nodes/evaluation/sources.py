# SPDX-License-Identifier: Apache-2.0
"""Which data sets a task can be evaluated on, and how each is read for it.

A reader whose samples are of the kinds in :mod:`perception_nodes.datasets.samples` needs one line
in SOURCES: ``'name': dataset(Reader)``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.idd_lite import IddLite
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_drive import KittiDrive
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.kitti_road import KittiRoad
from perception_nodes.datasets.kitti_semantic import KittiSemantic
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.evaluation.bag_source import bag_source
from perception_nodes.evaluation.dataset_samples import (
    OFFICE_PLACES_NOTE,
    SEVEN_SCENES_PLACES_NOTE,
    TURNED_NOTE,
    loop_matrix_sample,
    office_place,
    sample_of,
    seven_scenes_place,
)
from perception_nodes.evaluation.drive_samples import (
    DRIVE_FROM_CAMERA,
    LIDAR_NOTE,
    drive_flow_sample,
    drive_sample,
    steps_with_depth,
)
from perception_nodes.evaluation.samples import NEIGHBOURS, Sample, Source
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.pipelines.tasks import find_task
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['SOURCES', 'dataset', 'open_source', 'sources_of']

Opener = Callable[[Path, str | None], Source]
ToSample = Callable[[Any, int], Sample]


class _Samples:
    """Samples of a reader, each turned into one of a task when it is read."""

    def __init__(
        self, reader: Sequence[Any], numbers: Sequence[int], to_sample: ToSample
    ) -> None:
        self._reader, self._numbers, self._to_sample = reader, numbers, to_sample

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Sample]:
        return (self._to_sample(self._reader, number) for number in self._numbers)


def dataset(
    reader: Callable[..., Sequence[Any]], *, splits: bool = False, split: str | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}), note: str = '',
    to_sample: ToSample = sample_of, numbers: Callable[[Any], Sequence[int]] | None = None,
    base_from_camera: FloatArray | None = None,
) -> Opener:
    """Return what opens a data set as a source.

    Parameters
    ----------
    reader : called with the root, and with the split if the data set has splits; its attribute
        ``classes``, if it has one, names the classes of its labels, and ``merged`` the model's
        classes that each takes in.
    splits : whether it has splits. split : the usual one for validation.
    settings : of the task's metric. note : what a reader of the figures must know.
    to_sample : from (the reader, a number) to the task's sample.
    numbers : from the reader to the numbers of the samples that serve; None = all.
    base_from_camera : float64 [4, 4] where the camera is on the vehicle; None = not known.
    """

    def open_dataset(root: Path, wanted: str | None) -> Source:
        if not splits and wanted not in (None, 'train', 'training'):
            raise PerceptionError(f"there is no split '{wanted}': the ground truth is one set")
        found = reader(root, wanted or split) if splits else reader(root)
        samples = _Samples(found, range(len(found)) if numbers is None else numbers(found),
                           to_sample)
        return Source(
            samples, len(samples), tuple(getattr(found, 'classes', ())),
            getattr(found, 'merged', None), settings, note, base_from_camera,
        )

    return open_dataset


_KITTI_DEPTH = {'min_depth_m': 1e-3, 'max_depth_m': 80.0, 'crop': True}
_KITTI_DEPTH_NOTE = 'Crop of Garg et al., ground truth from 1 mm to 80 m.'
_INDOORS = {'min_depth_m': 0.1, 'max_depth_m': 10.0}
_MERGED_NOTE = "A class's probability is the sum of those of the model's classes that it takes in."

# Beside bags.
SOURCES: dict[str, dict[str, Opener]] = {
    'segmentation': {
        'camvid': dataset(CamVid, splits=True, split='val'),
        'idd_lite': dataset(IddLite, splits=True, split='train', note=_MERGED_NOTE),
        'kitti_road': dataset(KittiRoad, note=_MERGED_NOTE),
        'kitti_semantic': dataset(
            KittiSemantic, note="Cityscapes' labels as CamVid's classes; those that CamVid has no "
            'class for do not count.',
        ),
    },
    'stereo_depth': {
        'kitti_stereo': dataset(
            KittiStereo, note='Ground truth holds only pixels that both cameras see.'
        ),
        'kitti_drive': dataset(
            KittiDrive, splits=True, to_sample=drive_sample, numbers=KittiDrive.with_depth,
            note=LIDAR_NOTE,
        ),
        'middlebury_stereo': dataset(
            MiddleburyStereo, note='Evaluated on pixels that are visible in both cameras.'
        ),
    },
    'mono_depth': {
        'kitti_depth': dataset(
            KittiDepth, settings=_KITTI_DEPTH, note=_KITTI_DEPTH_NOTE
        ),
        'kitti_drive': dataset(
            KittiDrive, splits=True, to_sample=drive_sample, settings=_KITTI_DEPTH,
            base_from_camera=DRIVE_FROM_CAMERA,
            note=f'{LIDAR_NOTE} {_KITTI_DEPTH_NOTE} The others only serve to measure flicker.',
        ),
        'hololens_office': dataset(
            HololensOffice, splits=True, settings=_INDOORS,
            note='Depth of the HoloLens, registered, at half the size of the image.',
        ),
        'seven_scenes': dataset(
            SevenScenes, splits=True, settings=_INDOORS,
            note='Depth and colour of this data set are not registered to each other: edges count '
            'as errors of every method.',
        ),
    },
    'optical_flow': {
        'middlebury_flow': dataset(MiddleburyFlow, note=TURNED_NOTE),
        'kitti_flow': dataset(KittiFlow, note=TURNED_NOTE),
        'kitti_drive': dataset(
            KittiDrive, splits=True, to_sample=drive_flow_sample, numbers=steps_with_depth,
            note=f'{LIDAR_NOTE} Ground truth follows from depth and the poses: right for what '
            'stands still, and as good as the poses are.',
        ),
    },
    'visual_odometry': {
        'kitti_drive': dataset(
            KittiDrive, splits=True, to_sample=drive_sample, base_from_camera=DRIVE_FROM_CAMERA,
            note='Numbers that are missing in the sequence are missing here.',
        ),
    },
    'place_recognition': {
        'loop_matrix': dataset(
            LoopMatrix, to_sample=loop_matrix_sample,
            note=f'An image asks for earlier ones; the {NEIGHBOURS} before it do not count.',
        ),
        'hololens_office': dataset(
            HololensOffice, splits=True, to_sample=office_place, note=OFFICE_PLACES_NOTE
        ),
        'seven_scenes': dataset(
            SevenScenes, splits=True, to_sample=seven_scenes_place, note=SEVEN_SCENES_PLACES_NOTE
        ),
    },
}


def sources_of(task: str) -> dict[str, Opener]:
    """Return what a task can be evaluated on: its data sets, and bags.

    Raises
    ------
    PerceptionError
        If there is no such task, or it has no scorer.
    """
    if find_task(task).name not in SCORERS:
        raise PerceptionError(f'{task} has no scorer, so it cannot be evaluated')
    return {**SOURCES.get(task, {}), 'bag': bag_source(task)}


def open_source(task: str, dataset: str, root: Path, split: str | None) -> Source:
    """Open a data set for a task.

    Raises
    ------
    PerceptionError
        If there is no such task or data set, the task cannot be evaluated on the data set, or the
        root is not of its layout.
    """
    sources = sources_of(task)
    if dataset not in sources:
        raise PerceptionError(
            f'{task} cannot be evaluated on {dataset}; it can on: {", ".join(sources)}'
        )
    if not Path(root).exists():
        raise PerceptionError(f'{root} does not exist; pass the data set folder with --root')
    source = sources[dataset](Path(root), split)
    if not source.count:
        raise PerceptionError(f'{root} holds no frame to evaluate {task} on')
    return source
