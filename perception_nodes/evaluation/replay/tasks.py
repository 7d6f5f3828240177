# SPDX-License-Identifier: Apache-2.0
"""Which tasks a bag's cameras allow, and their pipelines for it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perception_nodes.bags.cameras import CameraTopics, StereoTopics
from perception_nodes.bags.reader import BagReader
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.geometry.rig_checks import camera_doubts, mount_doubts, rig_doubts
from perception_nodes.pipelines.build import build_perception
from perception_nodes.pipelines.config_values import changed
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.tasks import TASKS, find_task
from perception_nodes.types import PerceptionError, StereoRig

__all__ = ['choose_tasks', 'make_perception']


def choose_tasks(
    cameras: StereoTopics | CameraTopics, wanted: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the tasks to run.

    Parameters
    ----------
    wanted : tasks that were asked for by name; empty = all that are possible.

    Returns
    -------
    tasks : in the order of TASKS.
    notes : one line for every task that is off, and why.

    Raises
    ------
    PerceptionError
        If a task does not exist, or one that was asked for by name is not possible.
    """
    reasons = _impossible(cameras)
    for task in wanted:
        if find_task(task).name in reasons:
            raise PerceptionError(f'{task} is not possible: {reasons[task]}')
    tasks = tuple(task for task in TASKS if task in (wanted or TASKS) and task not in reasons)
    return tasks, tuple(f'{task} is off: {reason}' for task, reason in reasons.items())


def make_perception(
    tasks: Sequence[str], bag: BagReader, cameras: StereoTopics | CameraTopics, *,
    models: Mapping[str, str | Path] = MappingProxyType({}), backend: str = 'auto',
    precision: str = 'fp16', threads: int = 0,
    parameters: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Perception, tuple[str, ...]]:
    """Build the pipelines, with the camera's place on the vehicle from /tf_static.

    Parameters
    ----------
    parameters : to change, as perception_node names them (``segmentation.flip``): YAML texts.

    Returns
    -------
    perception, and notes for the reader.

    Raises
    ------
    PerceptionError
        If a model is missing or damaged, or a parameter is wrong.
    """
    camera = cameras.left if isinstance(cameras, StereoTopics) else cameras
    frame = camera.camera.frame_id if camera.camera else ''
    base_from_camera = base_from_frame(bag, frame) if frame else None
    notes: tuple[str, ...] = () if base_from_camera is not None or not camera.camera else (
        f'/tf_static does not say where {frame or "the camera"} is on base_link: taken as looking '
        'forward from its origin',
    )
    if base_from_camera is not None:
        notes = mount_doubts(base_from_camera, frame)
    for task, model in models.items():
        if task not in tasks:
            raise PerceptionError(
                f'{task} does not run, so it takes no model ({model}); what runs: '
                f'{", ".join(tasks)}'
            )
    for name in parameters:
        if name.partition('.')[0] not in tasks or '.' not in name:
            raise PerceptionError(
                f'no parameter {name}: it starts with a task that runs, {", ".join(tasks)}, as in '
                f'{tasks[0]}.NAME'
            )
    configs: dict[str, Any] = {}
    for task in tasks:
        config = TASKS[task].config()
        if base_from_camera is not None and TASKS[task].mounted:
            rows = tuple(tuple(float(v) for v in row) for row in base_from_camera)
            config = replace(config, base_from_camera=rows)
        prefix = f'{task}.'
        configs[task] = changed(
            config, {name.removeprefix(prefix): text for name, text in parameters.items()
                     if name.startswith(prefix)}, prefix,
        )
    perception = build_perception(
        configs, models=models, backend=backend, precision=precision, threads=threads
    )
    uses_pose = any(TASKS[task].mounted for task in tasks)
    return perception, (*(notes if uses_pose else ()), *_rig_doubts(cameras))


def _rig_doubts(cameras: StereoTopics | CameraTopics) -> tuple[str, ...]:
    """One line for each thing in the calibration that is hard to believe."""
    if isinstance(cameras, CameraTopics):
        return camera_doubts(cameras.camera) if cameras.camera else ()
    if cameras.left.camera is None or cameras.right.camera is None:
        return ()
    with contextlib.suppress(PerceptionError):  # what is no rig is refused with its frames
        return rig_doubts(StereoRig(cameras.left.camera, cameras.right.camera))
    return ()


def _impossible(cameras: StereoTopics | CameraTopics) -> dict[str, str]:
    """Task to reason."""
    if isinstance(cameras, StereoTopics):
        return {}
    no_pair = cameras.no_pair or f'the bag has no calibrated stereo pair, only {cameras.image}'
    no_camera = cameras.problem or f'{cameras.image} has no camera_info'
    reasons = {}
    for name, task in TASKS.items():
        if task.stereo:
            reasons[name] = no_pair
        elif task.needs_camera and cameras.camera is None:
            reasons[name] = no_camera
    return reasons
