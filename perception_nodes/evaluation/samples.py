# SPDX-License-Identifier: Apache-2.0
"""What is evaluated, one kind of sample a task, whether a data set or a bag gave it.

Segmentation, stereo and mono depth take the samples of :mod:`perception_nodes.datasets.samples`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perception_nodes.datasets.samples import FlowPair
from perception_nodes.types import Camera, FloatArray, Flow, Image, StereoRig

__all__ = [
    'NEIGHBOURS',
    'FlowStep',
    'OdometryFrame',
    'PlaceQuery',
    'Source',
    'flow_of',
    'step_of_pair',
]

# Images this close before a query, in images of a walk or seconds of a drive, are neighbours:
# neither right nor wrong as an answer.
NEIGHBOURS = 10

_FRAME_NS = 100_000_000


@dataclass(frozen=True)
class FlowStep:
    """Two images and the flow by this package's convention, see types.Flow.

    Attributes
    ----------
    truth_px : float32 [H, W, 2] on the grid of ``newer``; NaN = no truth.
    """

    name: str
    older: Image
    newer: Image
    truth_px: FloatArray


@dataclass(frozen=True)
class OdometryFrame:
    """A rectified pair of a drive and where the vehicle truly was, odom_from_base [4, 4]."""

    name: str
    left: Image
    right: Image
    rig: StereoRig
    truth_odom_from_base: FloatArray


@dataclass(frozen=True)
class PlaceQuery:
    """An image of a walk and the earlier images that show the same place.

    Attributes
    ----------
    number : position in the walk; queries come in this order.
    same : numbers of earlier images of this place, without those beside it in time.
    ignored : numbers of earlier images that are neither right nor wrong: the ones just before.
    """

    name: str
    number: int
    image: Image
    camera: Camera
    same: frozenset[int]
    ignored: frozenset[int]


@dataclass(frozen=True)
class Source:
    """What a data set gives a task.

    Attributes
    ----------
    samples : read one by one.
    classes : of segmentation's labels; empty else.
    merged : the model's classes that each of them takes in, in their order; None: they are the
        model's own.
    settings : of the metric, for example a depth range.
    note : what a reader of the figures must know.
    base_from_camera : float64 [4, 4] where the camera is on the vehicle; None = not known.
    """

    samples: Sequence[Any]
    classes: tuple[str, ...] = ()
    merged: Mapping[str, tuple[str, ...]] | None = None
    settings: dict[str, Any] | None = None
    note: str = ''
    base_from_camera: FloatArray | None = None


def step_of_pair(pair: FlowPair) -> FlowStep:
    """Turn a data set's pair around, so that its truth lies on the newer image.

    The data set knows where the points of the first image are in the second,
    ``second = p + forward``, on the first image's grid. Our flow is on the newest image's grid and
    says where a point came from, ``older = p - flow``. So the first image is shown last and
    ``flow = -forward``: exact, with no resampling.
    """
    return FlowStep(
        pair.name,
        older=replace(pair.second, stamp_ns=0),
        newer=replace(pair.first, stamp_ns=_FRAME_NS),
        truth_px=-pair.forward_flow_px,
    )


def flow_of(result: Flow | None, step: FlowStep) -> Flow:
    """Check that a pipeline answered the second of two images."""
    if result is None or result.previous_stamp_ns != step.older.stamp_ns:
        raise RuntimeError(f'{step.name}: no flow came out for two images in a row')
    return result
