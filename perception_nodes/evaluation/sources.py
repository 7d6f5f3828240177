# SPDX-License-Identifier: Apache-2.0
"""Which data sets can evaluate which task, and how each is read for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from perception_nodes.datasets.camvid import CamVid
from perception_nodes.datasets.kitti_depth import KittiDepth
from perception_nodes.datasets.kitti_flow import KittiFlow
from perception_nodes.datasets.kitti_stereo import KittiStereo
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.middlebury_flow import MiddleburyFlow
from perception_nodes.datasets.middlebury_stereo import MiddleburyStereo
from perception_nodes.datasets.samples import DepthImage, FlowPair, PosedImage
from perception_nodes.datasets.sequence import SampleSequence
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.evaluation.bag_sources import (
    bag_flow,
    bag_labels,
    bag_mono_depth,
    bag_odometry,
    bag_places,
    bag_stereo,
)
from perception_nodes.evaluation.drive_sources import (
    drive_flow,
    drive_mono_depth,
    drive_odometry,
    drive_stereo,
)
from perception_nodes.evaluation.office_sources import office_mono_depth, office_places
from perception_nodes.evaluation.road_sources import idd_lite, kitti_road, kitti_semantic
from perception_nodes.evaluation.samples import (
    NEIGHBOURS,
    FlowStep,
    PlaceQuery,
    Source,
    step_of_pair,
)
from perception_nodes.geometry.se3 import inverse, rotation_angle_rad
from perception_nodes.types import Array, Camera, Image, PerceptionError

__all__ = ['SOURCES', 'open_source']

Opener = Callable[[Path, str | None], Source]
Given = TypeVar('Given')
Wanted = TypeVar('Wanted')

# A walk's images get stamps a second apart, so that "recent" means the same to every method.
_STEP_NS = 1_000_000_000
_INDOOR_MAX_M = 10.0
_SAME_PLACE_M = 0.5
_SAME_PLACE_RAD = np.radians(30.0)


class _Turned(SampleSequence[int, Any]):
    """Samples of a reader turned into those of a task when they are asked for."""

    def __init__(self, given: Sequence[Given], turn: Callable[[int, Given], Wanted]) -> None:
        super().__init__(range(len(given)))
        self._given, self._turn = given, turn

    def read(self, entry: int) -> Any:
        """Read and turn one sample."""
        return self._turn(entry, self._given[entry])


def _camvid(root: Path, split: str | None) -> Source:
    images = CamVid(root, split or 'val')
    return Source(images, classes=images.classes)


def _kitti_stereo(root: Path, split: str | None) -> Source:
    _no_split('kitti_stereo', split)
    return Source(KittiStereo(root), note='Truth holds only pixels that both cameras see.')


def _middlebury_stereo(root: Path, split: str | None) -> Source:
    _no_split('middlebury_stereo', split)
    return Source(MiddleburyStereo(root), note='Scored where the mask says both cameras see.')


def _kitti_depth(root: Path, split: str | None) -> Source:
    _no_split('kitti_depth', split)
    settings = {'min_depth_m': 1e-3, 'max_depth_m': 80.0, 'crop': True}
    return Source(
        KittiDepth(root), settings=settings, note='Crop of Garg et al., truth from 1 mm to 80 m.'
    )


def _seven_scenes_depth(root: Path, split: str | None) -> Source:
    frames = SevenScenes(root, split)
    return Source(
        _Turned(frames, lambda _, frame: _depth_image(frame)),
        settings={'min_depth_m': 0.1, 'max_depth_m': _INDOOR_MAX_M},
        note='Depth and colour of this data set are not registered to each other: edges count '
        'as errors of everybody.',
    )


def _depth_image(frame: PosedImage) -> DepthImage:
    return DepthImage(frame.name, frame.image, frame.camera, frame.depth_m)


def _middlebury_flow(root: Path, split: str | None) -> Source:
    _no_split('middlebury_flow', split)
    return Source(_Turned(MiddleburyFlow(root), _step), note=_TURNED_NOTE)


def _kitti_flow(root: Path, split: str | None) -> Source:
    _no_split('kitti_flow', split)
    return Source(_Turned(KittiFlow(root), _step), note=_TURNED_NOTE)


_TURNED_NOTE = (
    'Frame 11 is shown before frame 10, so that the truth lies on the newest image as our flow '
    'does.'
)


def _step(_: int, pair: FlowPair) -> FlowStep:
    return step_of_pair(pair)


def _loop_matrix(root: Path, split: str | None) -> Source:
    _no_split('loop_matrix', split)
    walk = LoopMatrix(root)
    return Source(
        _Turned(walk, lambda n, place: _query(n, place.name, place.image, None, walk.same_place)),
        note=f'An image asks for earlier ones; the {NEIGHBOURS} before it do not count.',
    )


def _seven_scenes_places(root: Path, split: str | None) -> Source:
    frames = SevenScenes(root, split)
    poses = [frame.world_from_camera for frame in frames]
    same = np.array([[_one_place(first, second) for second in poses] for first in poses])
    return Source(
        _Turned(frames, lambda n, f: _query(n, f.name, f.image, f.camera, same)),
        note='Two frames show one place if they are within 0.5 m and 30 degrees; '
        f'the {NEIGHBOURS} frames before a query do not count.',
    )


def _one_place(world_from_first: Any, world_from_second: Any) -> bool:
    step = inverse(world_from_first) @ world_from_second
    near = float(np.linalg.norm(step[:3, 3])) <= _SAME_PLACE_M
    return near and rotation_angle_rad(step) <= _SAME_PLACE_RAD


def _query(
    number: int, name: str, image: Image, camera: Camera | None, same_place: Array
) -> PlaceQuery:
    first_neighbour = max(number - NEIGHBOURS, 0)
    earlier = np.flatnonzero(same_place[number, :first_neighbour])
    image = replace(image, stamp_ns=number * _STEP_NS)
    # Without calibration: a nominal 53 degrees across.
    focal = float(image.width)
    nominal = Camera.pinhole(
        image.width, image.height, focal, focal, 0.5 * (image.width - 1), 0.5 * (image.height - 1)
    )
    return PlaceQuery(
        name, number, image, camera or nominal, frozenset(int(i) for i in earlier),
        frozenset(range(first_neighbour, number + 1)),
    )  # fmt: skip


def _no_split(dataset: str, split: str | None) -> None:
    if split not in (None, 'train', 'training'):
        raise PerceptionError(f"{dataset} has no split '{split}': its truth is one set")


SOURCES: dict[str, dict[str, Opener]] = {
    'segmentation': {
        'camvid': _camvid,
        'idd_lite': idd_lite,
        'kitti_road': kitti_road,
        'kitti_semantic': kitti_semantic,
        'bag': bag_labels,
    },
    'stereo_depth': {
        'kitti_stereo': _kitti_stereo,
        'kitti_drive': drive_stereo,
        'middlebury_stereo': _middlebury_stereo,
        'bag': bag_stereo,
    },
    'mono_depth': {
        'kitti_depth': _kitti_depth,
        'kitti_drive': drive_mono_depth,
        'hololens_office': office_mono_depth,
        'seven_scenes': _seven_scenes_depth,
        'bag': bag_mono_depth,
    },
    'optical_flow': {
        'middlebury_flow': _middlebury_flow,
        'kitti_flow': _kitti_flow,
        'kitti_drive': drive_flow,
        'bag': bag_flow,
    },
    'visual_odometry': {'kitti_drive': drive_odometry, 'bag': bag_odometry},
    'place_recognition': {
        'loop_matrix': _loop_matrix,
        'hololens_office': office_places,
        'seven_scenes': _seven_scenes_places,
        'bag': bag_places,
    },
}


def open_source(task: str, dataset: str, root: Path, split: str | None) -> Source:
    """Open a data set for a task.

    Raises
    ------
    PerceptionError
        If there is no such task or data set, the data set cannot evaluate the task, or the root is
        not of its layout.
    """
    if task not in SOURCES:
        raise PerceptionError(f"no task '{task}'; there are {', '.join(SOURCES)}")
    if dataset not in SOURCES[task]:
        raise PerceptionError(
            f"{dataset} cannot evaluate {task}; these can: {', '.join(SOURCES[task])}"
        )
    if not Path(root).exists():
        raise PerceptionError(f'{root} does not exist; give the data set folder with --root')
    source = SOURCES[task][dataset](Path(root), split)
    if not len(source.samples):
        raise PerceptionError(f'{root} holds no frame to evaluate {task} on')
    return source
