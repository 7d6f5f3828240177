# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: a frame as the pipelines take it and what is true of it, from any source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.types import Array, FloatArray, Image, PerceptionError

__all__ = ['NEIGHBOURS', 'GroundTruth', 'PlaceTruth', 'Sample', 'Source']

# Images this close before a query, in images of a sequence or seconds of a bag, are neighbours:
# neither right nor wrong as an answer.
NEIGHBOURS = 10


@dataclass(frozen=True)
class PlaceTruth:
    """Which earlier images show the place of an image, by their stamps.

    Attributes
    ----------
    same : stamps of earlier images of this place, without the neighbours in time, ns.
    ignored_from : stamps from here on are neighbours, neither right nor wrong, ns.
    unclear : stamps of earlier images that are neither right nor wrong, ns.
    """

    same: frozenset[int]
    ignored_from: int
    unclear: frozenset[int] = frozenset()

    def counts(self, stamp_ns: int) -> bool:
        """Return whether a candidate is right or wrong at all."""
        return stamp_ns < self.ignored_from and stamp_ns not in self.unclear


@dataclass(frozen=True)
class GroundTruth:
    """What is true of one image; None where it is not known.

    Attributes
    ----------
    labels : uint8 [H, W] class ids of the source, 255 = unlabelled.
    disparity_px : float32 [H, W] of what both cameras see, NaN else.
    depth_m : float32 [H, W] metres, NaN = none.
    flow_px : float32 [H, W, 2] by the convention of types.Flow, NaN = none.
    flow_from_ns : stamp of the image where flow_px starts; None = that of the image before.
    odom_from_base : float64 [4, 4].
    place : which earlier images show this place.
    others : arrays of other tasks by the topic of a bag that holds them.
    """

    labels: Array | None = None
    disparity_px: FloatArray | None = None
    depth_m: FloatArray | None = None
    flow_px: FloatArray | None = None
    flow_from_ns: int | None = None
    odom_from_base: FloatArray | None = None
    place: PlaceTruth | None = None
    others: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One frame.

    Attributes
    ----------
    frame : what the pipelines take.
    before : of pairs that are no sequence, the image to be shown first.
    """

    name: str
    frame: StereoFrame | MonoFrame
    truth: GroundTruth
    before: Image | None = None

    @property
    def image(self) -> Image:
        """The (left) image."""
        return self.frame.left if isinstance(self.frame, StereoFrame) else self.frame.image


@dataclass(frozen=True)
class Source:
    """What a data set or a bag provides for a task.

    Attributes
    ----------
    samples : read one by one by each loop over them, in order.
    count : samples, or (of a bag) at most so many; for progress.
    classes : of the labels; empty else.
    merged : the model's classes that each of them takes in, in their order; None: they are the
        model's own.
    settings : of the metric, for example a depth range.
    note : what a reader of the figures must know.
    base_from_camera : float64 [4, 4] pose of the camera on the vehicle; None = not known.
    """

    samples: Iterable[Sample]
    count: int
    classes: tuple[str, ...] = ()
    merged: Mapping[str, tuple[str, ...]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ''
    base_from_camera: FloatArray | None = None

    def first(self) -> Sample:
        """Read the first sample.

        Raises
        ------
        PerceptionError
            If there is none.
        """
        for sample in islice(self.samples, 1):
            return sample
        raise PerceptionError('there is no frame with ground truth to evaluate on')

    def images(self, stamps_ns: Iterable[int]) -> dict[int, Image]:
        """Read the images of some stamps again, going through the samples until all are found."""
        wanted, found = set(stamps_ns), dict[int, Image]()
        for sample in self.samples:
            if sample.image.stamp_ns in wanted:
                found[sample.image.stamp_ns] = sample.image
            if len(found) == len(wanted):
                break
        return found
