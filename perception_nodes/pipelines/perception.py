# SPDX-License-Identifier: Apache-2.0
"""Any tasks on one camera's frames: each image is decoded once, each result is passed on."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from perception_nodes.pipelines.tasks import TASKS, Task, find_task, running_order
from perception_nodes.types import Camera, FloatArray, Image, PerceptionError, StereoRig

if TYPE_CHECKING:
    from perception_nodes.inference.runner import Runner
    from perception_nodes.pipelines.pipeline import MountedPipeline, Pipeline

# By task; a task that was not run, has no result for the frame, or failed is missing.
Results = Mapping[str, Any]
# Called with the name of a task and what it raised.
Failed = Callable[[str, Exception], None]


@dataclass(frozen=True)
class MonoFrame:
    """One rectified image and its camera; None where it is not known (no camera_info)."""

    image: Image
    camera: Camera | None

    cameras = 1


@dataclass(frozen=True)
class StereoFrame:
    """One rectified pair and its rig; the tasks of one camera take the left image."""

    left: Image
    right: Image
    rig: StereoRig

    cameras = 2

    @property
    def image(self) -> Image:
        """The left image."""
        return self.left

    @property
    def camera(self) -> Camera:
        """The left camera."""
        return self.rig.left


Frame = MonoFrame | StereoFrame


@dataclass(frozen=True)
class Perception:
    """The pipelines of any tasks, run on the same frames.

    Results are passed on as declared by the tasks' records (``takes``): flow into the temporal
    smoothing of segmentation, depth and mask into visual odometry, and so on.

    Attributes
    ----------
    pipelines : by task.

    Raises
    ------
    PerceptionError
        If there is no such task.
    """

    pipelines: 'Mapping[str, Pipeline]'

    def __post_init__(self) -> None:
        for task in self.pipelines:
            find_task(task)

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that are here, in the order of TASKS."""
        return tuple(task for task in TASKS if task in self.pipelines)

    @property
    def runners(self) -> 'dict[str, Runner]':
        """Every model by the task that runs it: 'segmentation', 'place_recognition/features'."""
        return {
            task if number == 0 else f'{task}/{runner.card.name}': runner
            for task in self.tasks for number, runner in enumerate(self.pipelines[task].runners)
        }

    def reset(self, *, keep_pose: bool = False) -> None:
        """Forget the past in every task (the clock went back: a looped bag).

        Parameters
        ----------
        keep_pose : odometry goes on from where it is, with a larger covariance, instead of from
            the origin (REP 105: odom is continuous; simulated and replayed time start anew).
        """
        for task in self.tasks:
            if keep_pose and TASKS[task].mounted:
                self._mounted(task).reset(keep_pose=True)
            else:
                self.pipelines[task].reset()

    def mount(self, task: str, base_from_camera: FloatArray) -> None:
        """Set where the camera sits on the vehicle, [4, 4], for a task that is ``mounted``."""
        self._mounted(task).mount(base_from_camera)

    def needed_for(self, tasks: Collection[str]) -> set[str]:
        """Tasks to run so that some are answered as if somebody listened to all of them.

        The stateful ones are always among them, and so is whose result one of them takes.
        """
        needed: set[str] = set()
        for name in reversed(self._running_order):
            task = TASKS[name]
            if name in needed or name in tasks or task.stateful:
                needed.add(name)
                config = self.pipelines[name].config
                needed.update(take.task for take in task.takes if take.used(config))
        return needed.intersection(self.pipelines)

    def __call__(
        self, frame: Frame, wanted: Collection[str] | None = None,
        given: Results | None = None, failed: Failed | None = None,
    ) -> Results:
        """Run tasks on one frame.

        Parameters
        ----------
        wanted : their names; the others are neither run nor passed on. None: all.
        given : results of this frame from elsewhere; they help where their task is not run here.
        failed : called with a task that fails; the others go on without its result. None: the
            first failure ends the frame.

        Raises
        ------
        PerceptionError
            If a task needs the camera and the frame has none, or refuses the frame.
        """
        known = dict(given or {})
        results: dict[str, Any] = {}
        for name in self._running_order:
            if (wanted is not None and name not in wanted) or TASKS[name].cameras > frame.cameras:
                continue
            known.pop(name, None)
            try:
                result = self._run(TASKS[name], frame, known)
            except Exception as error:  # whatever it was, it is no reason for the others
                if failed is None:
                    raise
                failed(name, error)
                continue
            # Of a late frame a task may repeat a newer result, which has been passed on before.
            if result is not None and result.stamp_ns <= frame.image.stamp_ns:
                known[name] = results[name] = result
        return results

    def _mounted(self, task: str) -> 'MountedPipeline':
        return cast('MountedPipeline', self.pipelines[task])

    @cached_property
    def _running_order(self) -> tuple[str, ...]:
        return running_order(self.pipelines)

    def _run(self, task: Task, frame: Frame, known: Results) -> Any:
        auxiliary = {
            take.argument: take.value(known[take.task])
            for take in task.takes if take.task in known
        }
        if task.cameras == 0 and not auxiliary:
            return None
        return self.pipelines[task.name](*frame_inputs(task, frame), **auxiliary)


def frame_inputs(task: Task, frame: Frame) -> tuple[Any, ...]:
    """What a task takes of a frame: ``(left, right, rig)``, ``(image, camera)`` or ``(image,)``.

    Without a camera it is ``(stamp_ns,)``.

    Raises
    ------
    PerceptionError
        If it needs the camera and the frame has none, or a pair and there is one image.
    """
    if task.cameras == 0:
        return (frame.image.stamp_ns,)
    if task.stereo:
        if not isinstance(frame, StereoFrame):
            raise PerceptionError(f'{task.name} needs a stereo pair')
        return frame.left, frame.right, frame.rig
    if not task.needs_camera:
        return (frame.image,)
    if frame.camera is None:
        raise PerceptionError(
            f'{task.name} needs the camera: no camera_info came with the image'
        )
    return frame.image, frame.camera
