# SPDX-License-Identifier: Apache-2.0
"""What a node's worker does with a frame: decode, run, encode, publish."""

import time
from collections.abc import Mapping
from dataclasses import replace

from perception_nodes.messages.encode import ENCODERS, Context
from perception_nodes.pipelines.perception import (
    TASKS,
    Perception,
    StereoFrame,
)
from perception_nodes.ros.input.frames import FrameDecoder, decode_auxiliary
from perception_nodes.ros.input.raw_frame import RawFrame
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.output.outputs import Outputs
from perception_nodes.ros.tasks.interface import TaskInterface
from perception_nodes.ros.tasks.loading import Loaded

# They remember: what they say tomorrow depends on every frame of today.
ALWAYS = ('visual_odometry', 'place_recognition')
# Whose results a task takes when both run here; computed then even if nobody listens to them, so
# that what a node says does not depend on who listens.
FEEDS: dict[str, tuple[str, ...]] = {
    'segmentation': ('optical_flow',),
    'visual_odometry': ('stereo_depth', 'segmentation'),
    'place_recognition': ('visual_odometry', 'stereo_depth'),
}


def needed_tasks(wanted: Mapping[str, set[str]], perception: Perception) -> set[str]:
    """Tasks to run on the next frame.

    Parameters
    ----------
    wanted : by task, its topics that somebody listens to.
    """
    needed = {
        task for task in perception.tasks if wanted.get(task) or task in ALWAYS
    }
    for task in reversed(TASKS):  # who feeds stands before whom it feeds, but for the flow
        if task in needed:
            needed.update(_feeders(task, perception))
    return needed


def _feeders(task: str, perception: Perception) -> set[str]:
    if task == 'segmentation' and not perception.segmentation.config.temporal:  # type: ignore[union-attr]
        return set()
    return {feeder for feeder in FEEDS.get(task, ()) if feeder in perception.tasks}


class Processing:
    """Runs in the worker's thread; called with each frame.

    Parameters
    ----------
    context : what encoders want besides the results (palette, trajectory, frames).
    interfaces : each looks at a frame first (False lets it go by: no transform known yet), and
        gets the results (to broadcast transforms).
    """

    def __init__(
        self, host: Host, loaded: Loaded, outputs: Outputs, decode: FrameDecoder,
        context: Context, interfaces: tuple[TaskInterface, ...] = (),
    ) -> None:
        self._host, self._statistics = host, host.statistics
        self._loaded, self._outputs = loaded, outputs
        self._decode, self._context, self._interfaces = decode, context, interfaces

    def __call__(self, raw: RawFrame) -> None:
        """Answer one frame; PerceptionError if it is bad."""
        tasks = self._loaded.perception.tasks
        wanted = {task: self._outputs.wanted(task) for task in tasks}
        needed = needed_tasks(wanted, self._loaded.perception)
        if not needed:
            self._statistics.count('nobody listens')
            return
        frame = self._decode(raw)
        if not all(interface.before(frame) for interface in self._interfaces):
            return
        lost: set[str] = set()

        def failed(task: str, error: Exception) -> None:
            lost.add(task)
            self._host.failed(error, task)

        given = decode_auxiliary(raw, lambda task, error: self._host.failed(error, task))
        results = self._loaded.perception(frame, needed, given, failed)
        if self._context.trajectory is not None and results.visual_odometry is not None:
            self._context.trajectory.append(results.visual_odometry)
        image = frame.left if isinstance(frame, StereoFrame) else frame.image
        context = replace(self._context, image=image)
        for task in tasks:
            result = getattr(results, task) if task in needed else None
            if result is None or not wanted[task]:
                continue
            try:
                self._outputs.publish(
                    task, ENCODERS[task](result, self._host.factory, wanted[task], context)
                )
            except Exception as error:  # as in Perception: the other tasks are published
                failed(task, error)
        for interface in self._interfaces:
            interface.after(results)
        if lost != needed:
            self._statistics.count('out')
            self._statistics.latency((time.monotonic() - raw.arrived_s) * 1e3)
