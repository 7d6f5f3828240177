# SPDX-License-Identifier: Apache-2.0
"""All tasks on one camera's frames: each image is passed on, and so is each result."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from perception_nodes.types import (
    Camera,
    Depth,
    Flow,
    Image,
    Odometry,
    PerceptionError,
    PlaceMatches,
    Segmentation,
    StereoRig,
)

if TYPE_CHECKING:
    from perception_nodes.pipelines.mono_depth import MonoDepthPipeline
    from perception_nodes.pipelines.optical_flow import OpticalFlowPipeline
    from perception_nodes.pipelines.place_recognition import PlaceRecognitionPipeline
    from perception_nodes.pipelines.segmentation import SegmentationPipeline
    from perception_nodes.pipelines.stereo_depth import StereoDepthPipeline
    from perception_nodes.pipelines.visual_odometry import VisualOdometryPipeline

TASKS = (
    'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'visual_odometry',
    'place_recognition',
)
STEREO_TASKS = ('stereo_depth', 'visual_odometry')
POSE_TASKS = ('visual_odometry', 'place_recognition')

T = TypeVar('T')
# Told the name of a task and what it raised.
Failed = Callable[[str, Exception], None]


@dataclass(frozen=True)
class MonoFrame:
    """One rectified image and its camera; None where it is not known (no camera_info)."""

    image: Image
    camera: Camera | None


@dataclass(frozen=True)
class StereoFrame:
    """One rectified pair and its rig; the tasks of one camera take the left image."""

    left: Image
    right: Image
    rig: StereoRig


@dataclass(frozen=True)
class Results:
    """What the tasks say of one frame.

    None where a task was not asked, needs a pair and got one image, has nothing to say yet (flow
    of the first image), or failed.
    """

    stamp_ns: int
    segmentation: Segmentation | None = None
    stereo_depth: Depth | None = None
    mono_depth: Depth | None = None
    optical_flow: Flow | None = None
    visual_odometry: Odometry | None = None
    place_recognition: PlaceMatches | None = None


@dataclass(frozen=True)
class Perception:
    """Any of the six pipelines, run on the same frames.

    A result goes where it helps: flow into the temporal smoothing of segmentation, depth and mask
    into visual odometry, depth and pose into place recognition.
    """

    segmentation: SegmentationPipeline | None = None
    stereo_depth: StereoDepthPipeline | None = None
    mono_depth: MonoDepthPipeline | None = None
    optical_flow: OpticalFlowPipeline | None = None
    visual_odometry: VisualOdometryPipeline | None = None
    place_recognition: PlaceRecognitionPipeline | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that are here, in the order of TASKS."""
        return tuple(task for task in TASKS if getattr(self, task) is not None)

    def reset(self, *, keep_pose: bool = False) -> None:
        """Forget the past in every task (the clock went back: a looped bag).

        Parameters
        ----------
        keep_pose : odometry goes on from where it is, with a larger covariance, instead of from
            the origin (REP 105: odom is continuous; simulated and replayed time start anew).
        """
        for task in self.tasks:
            if keep_pose and task in POSE_TASKS:
                getattr(self, task).reset(keep_pose=True)
            else:
                getattr(self, task).reset()

    def __call__(
        self, frame: StereoFrame | MonoFrame, wanted: Collection[str] = TASKS,
        given: Results | None = None, failed: Failed | None = None,
    ) -> Results:
        """Run the wanted tasks on one frame.

        Parameters
        ----------
        wanted : names of tasks; the others are neither run nor passed on.
        given : results of this frame that others made; they help where the task is not run here.
        failed : told of a task that fails; the others go on without its result. None: the first
            failure ends the frame.

        Raises
        ------
        PerceptionError
            If a task needs the camera and the frame has none, or refuses the frame.
        """
        pair = frame if isinstance(frame, StereoFrame) else None
        camera: Camera | None
        if isinstance(frame, StereoFrame):
            image, camera = frame.left, frame.rig.left
        else:
            image, camera = frame.image, frame.camera

        def attempt(task: str, answer: Callable[[], T]) -> T | None:
            try:
                return answer()
            except Exception as error:  # whatever it was, it is no reason for the others
                if failed is None:
                    raise
                failed(task, error)
                return None

        past = given or Results(image.stamp_ns)
        flow, mask, depth = past.optical_flow, past.segmentation, past.stereo_depth
        odometry, mono, places = past.visual_odometry, None, None
        if (flowing := self.optical_flow) and 'optical_flow' in wanted:
            flow = attempt('optical_flow', lambda: flowing(image))
        if (masking := self.segmentation) and 'segmentation' in wanted:
            mask = attempt('segmentation', lambda: masking(image, flow))
        if (measuring := self.stereo_depth) and pair and 'stereo_depth' in wanted:
            depth = attempt(
                'stereo_depth', lambda: measuring(pair.left, pair.right, pair.rig)
            )
        if (guessing := self.mono_depth) and 'mono_depth' in wanted:
            mono = attempt('mono_depth', lambda: guessing(image, _known(camera, 'mono_depth')))
        if (moving := self.visual_odometry) and pair and 'visual_odometry' in wanted:
            odometry = attempt(
                'visual_odometry', lambda: moving(pair.left, pair.right, pair.rig, depth, mask)
            )
            if odometry is not None and odometry.stamp_ns > image.stamp_ns:
                odometry = None  # a late frame: what it was answered with has been said before
        if (finding := self.place_recognition) and 'place_recognition' in wanted:
            pose = odometry.odom_from_base if odometry and odometry.tracking else None
            places = attempt(
                'place_recognition',
                lambda: finding(image, _known(camera, 'place_recognition'), depth, pose),
            )
        return Results(image.stamp_ns, mask, depth, mono, flow, odometry, places)


def _known(camera: Camera | None, task: str) -> Camera:
    if camera is None:
        raise PerceptionError(f'{task} needs the camera: no camera_info came with the image')
    return camera
