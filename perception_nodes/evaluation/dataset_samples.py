# SPDX-License-Identifier: Apache-2.0
"""Samples of the data set readers as what is evaluated."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from perception_nodes.datasets.hololens_office import HololensOffice
from perception_nodes.datasets.loop_matrix import LoopMatrix
from perception_nodes.datasets.samples import (
    DepthImage,
    FlowPair,
    LabelledImage,
    PosedImage,
    StereoPair,
)
from perception_nodes.datasets.seven_scenes import SevenScenes
from perception_nodes.evaluation.samples import NEIGHBOURS, GroundTruth, PlaceTruth, Sample
from perception_nodes.geometry.se3 import inverse, rotation_angle_rad
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.types import Array, Camera, Image

__all__ = [
    'OFFICE_PLACES_NOTE',
    'SEVEN_SCENES_PLACES_NOTE',
    'TURNED_NOTE',
    'loop_matrix_sample',
    'office_place',
    'sample_of',
    'seven_scenes_place',
]

# Images without stamps get some a second apart, so that "recent" means the same to every method.
_STEP_NS = 1_000_000_000
_SAME_PLACE_M = 0.5
_SAME_PLACE_RAD = float(np.radians(30.0))

TURNED_NOTE = (
    'Frame 11 is shown before frame 10, so that the ground truth lies on the newest image as our '
    'flow does.'
)
SEVEN_SCENES_PLACES_NOTE = (
    f'Two frames show one place if they are within {_SAME_PLACE_M:g} m and 30 degrees; the '
    f'{NEIGHBOURS} frames before a query do not count.'
)

# Two views show one place if they share half of it, and another if they share a tenth at most;
# what lies between is neither right nor wrong.
_SAME_SHARE, _OTHER_SHARE = 0.5, 0.1
OFFICE_PLACES_NOTE = (
    'Two images show one place if each sees half of the other on average, and another place if a '
    f'tenth or less; what lies between and the {NEIGHBOURS} images before a query do not count.'
)


def sample_of(reader: Sequence[Any], number: int) -> Sample:
    """Read a sample and turn it into one that is evaluated, by its kind.

    Raises
    ------
    TypeError
        If it is of none of the kinds that hold ground truth of images.
    """
    given = reader[number]
    for kind, turn in _TURN.items():
        if isinstance(given, kind):
            return turn(given)
    raise TypeError(f'{type(given).__name__} is no kind of sample that can be evaluated')


def _labelled(given: LabelledImage) -> Sample:
    return Sample(given.name, MonoFrame(given.image, None), GroundTruth(labels=given.labels))


def _stereo(given: StereoPair) -> Sample:
    visible = np.where(given.visible, given.disparity_px, np.float32(np.nan))
    frame = StereoFrame(given.left, given.right, given.rig)
    return Sample(given.name, frame, GroundTruth(disparity_px=visible))


def _depth(given: DepthImage | PosedImage) -> Sample:
    frame = MonoFrame(given.image, given.camera)
    return Sample(given.name, frame, GroundTruth(depth_m=given.depth_m))


def _flow(given: FlowPair) -> Sample:
    """Turn a pair around, so that its ground truth lies on the newer image.

    The data set knows where the points of the first image are in the second,
    ``second = p + forward``, on the first image's grid. Our flow is on the newest image's grid and
    says where a point came from, ``older = p - flow``. So the first image is shown last and
    ``flow = -forward``: exact, with no resampling.
    """
    older = replace(given.second, stamp_ns=0)
    newer = replace(given.first, stamp_ns=_STEP_NS // 10)
    truth = GroundTruth(flow_px=-given.forward_flow_px, flow_from_ns=0)
    return Sample(given.name, MonoFrame(newer, None), truth, before=older)


_TURN: dict[type, Callable[[Any], Sample]] = {
    LabelledImage: _labelled,
    StereoPair: _stereo,
    DepthImage: _depth,
    PosedImage: _depth,
    FlowPair: _flow,
}


def loop_matrix_sample(reader: LoopMatrix, number: int) -> Sample:
    """Read an image of a sequence whose loops are listed in a matrix."""
    given = reader[number]
    return _query(number, given.name, given.image, None, reader.same_place[number])


def seven_scenes_place(reader: SevenScenes, number: int) -> Sample:
    """Read a frame of a sequence whose loops follow from the poses."""
    given = reader[number]
    return _query(number, given.name, given.image, given.camera, _same_places(reader)[number])


def office_place(reader: HololensOffice, number: int) -> Sample:
    """Read an image that asks for earlier ones that share its view."""
    given, numbers = reader[number], np.array(reader.entries)
    shared = reader.shared_view
    mutual = (shared[numbers[number], numbers] + shared[numbers, numbers[number]]) / 2
    unclear = (mutual > _OTHER_SHARE) & (mutual < _SAME_SHARE)
    return _query(
        number, given.name, given.image, given.camera, mutual >= _SAME_SHARE, unclear
    )


@lru_cache(maxsize=1)
def _same_places(frames: SevenScenes) -> Array:
    """Which frames show one place, bool [N, N]."""
    poses = [frame.world_from_camera for frame in frames]
    return np.array([[_one_place(first, second) for second in poses] for first in poses])


def _one_place(world_from_first: Any, world_from_second: Any) -> bool:
    step = inverse(world_from_first) @ world_from_second
    near = float(np.linalg.norm(step[:3, 3])) <= _SAME_PLACE_M
    return near and rotation_angle_rad(step) <= _SAME_PLACE_RAD


def _query(
    number: int, name: str, image: Image, camera: Camera | None, same_place: Array,
    unclear: Array | None = None,
) -> Sample:
    """Make a query; same_place, unclear : bool [N], how each image relates to this one."""
    first_neighbour = max(number - NEIGHBOURS, 0)
    none = np.zeros(first_neighbour, np.bool_)
    same, neither = (
        frozenset(int(other) * _STEP_NS for other in np.flatnonzero(chosen[:first_neighbour]))
        for chosen in (same_place, none if unclear is None else unclear)
    )
    # Without calibration: a nominal 53 degrees across.
    focal = float(image.width)
    nominal = Camera.pinhole(
        image.width, image.height, focal, focal, 0.5 * (image.width - 1), 0.5 * (image.height - 1)
    )
    return Sample(
        name, MonoFrame(replace(image, stamp_ns=number * _STEP_NS), camera or nominal),
        GroundTruth(place=PlaceTruth(same, first_neighbour * _STEP_NS, neither)),
    )
