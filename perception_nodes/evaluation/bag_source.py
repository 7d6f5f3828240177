# SPDX-License-Identifier: Apache-2.0
"""A bag with ground truth topics as a source: every frame in order, and what is true of it."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import BagReader, open_bag
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.evaluation.bag_topics import LABELS, TruePath
from perception_nodes.evaluation.bag_truth import (
    SAME_PLACE_M,
    BagTruth,
    places_revisited,
)
from perception_nodes.evaluation.samples import NEIGHBOURS, Sample, Source
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.pipelines.perception import StereoFrame
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['BagSamples', 'bag_source', 'label_classes']

_NOTES = {
    'mono_depth': ' Ground truth up to 80 m counts.',
    'place_recognition': f' Frames within {SAME_PLACE_M:g} m and 45 degrees show one place; those '
    f'of the {NEIGHBOURS} s before a query do not count.',
}


class BagSamples:
    """Samples of a bag, read again from its start by every loop over them.

    Attributes
    ----------
    notes : after a whole loop, what of the bag was damaged or left out.
    """

    def __init__(self, path: Path, tasks: Collection[str]) -> None:
        self.path, self.tasks = path, tasks
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        with open_bag(self.path) as bag:
            truth = BagTruth(bag)
            frames = BagFrames(bag, find_cameras(bag))
            for frame in frames:
                image = frame.left if isinstance(frame, StereoFrame) else frame.image
                yield Sample(
                    f'{image.stamp_ns / 1e9:.3f} s', frame,
                    truth.at(image.stamp_ns, self.tasks),
                )
            self.notes = (*frames.notes(), *bag.notes)


def bag_source(task: str) -> Callable[[Path, str | None], Source]:
    """Return what opens a bag as a source of a task."""

    def open_source(root: Path, split: str | None) -> Source:
        if split is not None:
            raise PerceptionError(f"a bag has no split '{split}'")
        with open_bag(root) as bag:
            cameras = find_cameras(bag)
            _require(task, bag, cameras)
            camera = cameras.left if isinstance(cameras, StereoTopics) else cameras
            base_from_camera = _base_from_camera(camera, bag)
            note = 'Frames of the bag that have ground truth, in order.' + _NOTES.get(task, '')
            if task == 'visual_odometry' and base_from_camera is None:
                note += (' /tf_static has no pose of the camera on the vehicle: taken as '
                         'looking forward from its origin.')
            return Source(
                BagSamples(root, (task,)), bag.topics()[camera.image].count,
                label_classes(bag), note=note, base_from_camera=base_from_camera,
            )

    return open_source


def label_classes(bag: BagReader) -> tuple[str, ...]:
    """Classes of the labels in a bag, those of CamVid; none if it holds no labels."""
    present = bag.topics()
    return CLASSES if LABELS in present and present[LABELS].count else ()


def _require(task: str, bag: BagReader, cameras: StereoTopics | CameraTopics) -> None:
    """Refuse a bag that cannot be a source of the task."""
    topic = SCORERS[task].truth_topic
    if TASKS[task].stereo and not isinstance(cameras, StereoTopics):
        raise PerceptionError(f'{bag.path} has no stereo pair; {task} needs one')
    if topic and (topic not in bag.topics() or not bag.topics()[topic].count):
        raise PerceptionError(f'{bag.path}: no frame has {topic}, which {task} is scored against')
    if task == 'place_recognition' and not places_revisited(TruePath(bag)):
        raise PerceptionError(
            f'{bag.path}: the sequence never comes back within {SAME_PLACE_M:g} m after more '
            f'than {NEIGHBOURS} s, so there is no place to recognise'
        )


def _base_from_camera(camera: CameraTopics, bag: BagReader) -> FloatArray | None:
    if camera.camera is None or not camera.camera.frame_id:
        return None
    return base_from_frame(bag, camera.camera.frame_id)
