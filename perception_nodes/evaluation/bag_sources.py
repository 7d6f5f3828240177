# SPDX-License-Identifier: Apache-2.0
"""A bag with ground truth topics as what a task is evaluated on, frame by frame in order."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.datasets.samples import DepthImage, LabelledImage, StereoPair
from perception_nodes.evaluation.recordings.ground_truth import (
    DEPTH,
    DISPARITY,
    FLOW,
    LABELS,
    TruePath,
    TruthImages,
    seen_disparity,
    seen_flow,
)
from perception_nodes.evaluation.samples import (
    NEIGHBOURS,
    FlowStep,
    OdometryFrame,
    PlaceQuery,
    Source,
)
from perception_nodes.geometry.se3 import inverse, rotation_angle_rad
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.types import FloatArray, Image, PerceptionError

__all__ = [
    'bag_flow',
    'bag_labels',
    'bag_mono_depth',
    'bag_odometry',
    'bag_places',
    'bag_stereo',
]

_PAIR_TOLERANCE_NS = 5_000_000
_SAME_PLACE_M = 3.0
_SAME_PLACE_RAD = float(np.radians(45.0))
_NOTE = 'Frames of the bag that have truth, in order.'


class BagSamples(Sequence[Any]):
    """Samples of a bag, read again from its start by every loop over them.

    Indexing reads from the start as well: meant for the first samples only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = sum(1 for _ in self)
        if not self._count:
            raise PerceptionError(f'{path}: no frame has {self.truth}; this task wants it')

    truth = ''

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        """Read the sample of this number."""
        if not isinstance(index, int) or not 0 <= index < len(self):
            raise IndexError(f'{self.path} has samples 0 to {len(self) - 1}, not {index}')
        return next(islice(self, index, None))

    def __iter__(self) -> Iterator[Any]:
        with open_bag(self.path) as bag:
            frames = BagFrames(bag, find_cameras(bag), _PAIR_TOLERANCE_NS)
            yield from self.samples(frames, TruthImages(bag), TruePath(bag))

    @abstractmethod
    def samples(self, frames: BagFrames, truth: TruthImages, path: TruePath) -> Iterator[Any]:
        """Turn frames into samples; those without truth are passed over."""


class LabelSamples(BagSamples):
    """Images with /ground_truth/labels."""

    truth = LABELS

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[LabelledImage]:
        """Give the labelled images."""
        for frame in frames:
            image = _image(frame)
            labels = truth.find(LABELS, image.stamp_ns)
            if labels is not None:
                yield LabelledImage(_name(image), image, labels)


class StereoSamples(BagSamples):
    """Pairs with /ground_truth/disparity."""

    truth = DISPARITY

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[StereoPair]:
        """Give the pairs; visible is what the right camera sees, too."""
        for frame in frames:
            pair = _pair(frame, self.path)
            disparity = seen_disparity(truth, pair.left.stamp_ns)
            if disparity is not None:
                visible = np.isfinite(disparity)
                yield StereoPair(
                    _name(pair.left), pair.left, pair.right, pair.rig, disparity, visible
                )


class DepthSamples(BagSamples):
    """Images with /ground_truth/depth."""

    truth = DEPTH

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[DepthImage]:
        """Give the images with their depth."""
        for frame in frames:
            image = _image(frame)
            camera = frame.rig.left if isinstance(frame, StereoFrame) else frame.camera
            depth = truth.find(DEPTH, image.stamp_ns)
            if depth is not None:
                yield DepthImage(_name(image), image, camera, depth)


class FlowSamples(BagSamples):
    """Steps from the image before to one with /ground_truth/flow."""

    truth = FLOW

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[FlowStep]:
        """Give the steps."""
        before: Image | None = None
        for frame in frames:
            image = _image(frame)
            flow = seen_flow(truth, image.stamp_ns)
            if before is not None and flow is not None and np.isfinite(flow).any():
                yield FlowStep(_name(image), before, image, flow)
            before = image


class OdometrySamples(BagSamples):
    """Pairs of a drive with /ground_truth/odometry."""

    truth = '/ground_truth/odometry'

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[OdometryFrame]:
        """Give the pairs with the true poses."""
        for frame in frames:
            pair = _pair(frame, self.path)
            pose = path.at(pair.left.stamp_ns)
            if pose is not None:
                yield OdometryFrame(_name(pair.left), pair.left, pair.right, pair.rig, pose)


class PlaceSamples(BagSamples):
    """Images of a drive with the earlier ones that were taken at the same place."""

    truth = '/ground_truth/odometry'

    def samples(
        self, frames: BagFrames, truth: TruthImages, path: TruePath
    ) -> Iterator[PlaceQuery]:
        """Give the queries."""
        seen: list[tuple[int, FloatArray]] = []
        for frame in frames:
            image = _image(frame)
            camera = frame.rig.left if isinstance(frame, StereoFrame) else frame.camera
            pose = path.at(image.stamp_ns)
            if pose is None:
                continue
            recent_ns = image.stamp_ns - NEIGHBOURS * 10**9
            seen.append((image.stamp_ns, pose))
            old = [n for n, (stamp, _) in enumerate(seen) if stamp < recent_ns]
            same = frozenset(n for n in old if _one_place(seen[n][1], pose))
            yield PlaceQuery(
                _name(image), len(seen) - 1, image, camera, same,
                frozenset(range(len(old), len(seen))),
            )  # fmt: skip


def _one_place(odom_from_first: FloatArray, odom_from_second: FloatArray) -> bool:
    step = inverse(odom_from_first) @ odom_from_second
    near = float(np.linalg.norm(step[:3, 3])) <= _SAME_PLACE_M
    return near and rotation_angle_rad(step) <= _SAME_PLACE_RAD


def bag_labels(root: Path, split: str | None) -> Source:
    """Open a bag for segmentation; its labels are CamVid's classes."""
    return Source(LabelSamples(_bag(root, split)), classes=CLASSES, note=_NOTE)


def bag_stereo(root: Path, split: str | None) -> Source:
    """Open a bag for stereo depth."""
    return Source(StereoSamples(_bag(root, split)), note=_NOTE)


def bag_mono_depth(root: Path, split: str | None) -> Source:
    """Open a bag for depth from one camera; truth up to 80 m counts."""
    return Source(DepthSamples(_bag(root, split)), note=_NOTE)


def bag_flow(root: Path, split: str | None) -> Source:
    """Open a bag for optical flow."""
    return Source(FlowSamples(_bag(root, split)), note=_NOTE)


def bag_odometry(root: Path, split: str | None) -> Source:
    """Open a bag for visual odometry, with the camera's place from /tf_static if it is there."""
    path = _bag(root, split)
    samples = OdometrySamples(path)
    with open_bag(path) as bag:
        cameras = find_cameras(bag)
        base_from_camera = _base_from_camera(cameras, bag)
    note = _NOTE if base_from_camera is not None else (
        f'{_NOTE} /tf_static does not say where the camera is on the vehicle: taken as looking '
        'forward from its origin.'
    )
    return Source(samples, note=note, base_from_camera=base_from_camera)


def bag_places(root: Path, split: str | None) -> Source:
    """Open a bag for place recognition; the drive must come back to some place."""
    samples = PlaceSamples(_bag(root, split))
    if not any(query.same for query in samples):
        raise PerceptionError(
            f'{root}: the drive never comes back within {_SAME_PLACE_M:g} m after more than '
            f'{NEIGHBOURS} s, so there is no place to recognise'
        )
    note = (
        'Frames within 3 m and 45 degrees show one place; those of the '
        f'{NEIGHBOURS} s before a query do not count.'
    )
    return Source(samples, note=note)


def _base_from_camera(cameras: StereoTopics | CameraTopics, bag: Any) -> FloatArray | None:
    camera = cameras.left if isinstance(cameras, StereoTopics) else cameras
    if camera.camera is None or not camera.camera.frame_id:
        return None
    return base_from_frame(bag, camera.camera.frame_id)


def _bag(root: Path, split: str | None) -> Path:
    if split is not None:
        raise PerceptionError(f"a bag has no split '{split}'")
    return Path(root)


def _image(frame: StereoFrame | MonoFrame) -> Image:
    return frame.left if isinstance(frame, StereoFrame) else frame.image


def _pair(frame: StereoFrame | MonoFrame, path: Path) -> StereoFrame:
    if not isinstance(frame, StereoFrame):
        raise PerceptionError(f'{path} has no stereo pair; this task wants one')
    return frame


def _name(image: Image) -> str:
    return f'{image.stamp_ns / 1e9:.3f} s'
