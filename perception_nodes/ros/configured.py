# SPDX-License-Identifier: Apache-2.0
"""What exists from configure to cleanup: models, publishers, services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from perception_nodes.messages.encode import Context, latched_messages
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.ros.assembler import RawFrame
from perception_nodes.ros.build_only import blank_frame, build_engines
from perception_nodes.ros.diagnostics import OK, Finding
from perception_nodes.ros.frames import FrameDecoder
from perception_nodes.ros.inputs import needs_pair
from perception_nodes.ros.loading import load
from perception_nodes.ros.map_interface import MapInterface
from perception_nodes.ros.mount import MountInterface
from perception_nodes.ros.odometry_interface import OdometryInterface
from perception_nodes.ros.outputs import Outputs
from perception_nodes.ros.processing import Processing
from perception_nodes.ros.session import Session
from perception_nodes.ros.task_interface import TaskInterface
from perception_nodes.ros.task_set import Settings

if TYPE_CHECKING:
    from perception_nodes.ros.node import PerceptionLifecycleNode


class Configured:
    """Built by configure, closed by cleanup.

    Raises
    ------
    PerceptionError
        If a model cannot be loaded or a map cannot be read; nothing is left behind.

    Attributes
    ----------
    loaded : the models and pipelines. settings : what the parameters said.
    """

    def __init__(self, node: PerceptionLifecycleNode, settings: Settings) -> None:
        self._node = node
        self.settings = settings
        self.loaded = load(settings.models, settings.pipelines, settings.node)
        self._interfaces: dict[str, TaskInterface] = {}
        self._outputs: Outputs | None = None
        self._told: tuple[tuple[str, str], ...] | None = None
        try:
            self._open_interfaces()
            self._outputs = Outputs(node, node.tasks.topic_prefixes())
        except BaseException:
            self.close()
            raise

    def open_session(self, failed: Callable[[Exception, str], None]) -> Session:
        """Start to take images; failed is told an error and the task that raised it, '' = all."""
        node, tasks = self._node, self._node.tasks
        assert self._outputs is not None
        processing = Processing(
            self.loaded, self._outputs, node.factory, node.statistics,
            FrameDecoder(self.settings.node.rectify), self._context(),
            lambda task, error: failed(error, task),
            tuple(interface.before for interface in self._interfaces.values()),
            tuple(interface.after for interface in self._interfaces.values()),
        )
        process: Callable[[RawFrame], None] = processing
        if self.settings.node.build_only:
            process = self._build_for
        return Session(
            node, self.settings.node, tasks.inputs(self.settings),
            tasks.auxiliaries(self.settings), node.statistics, node.problems, process,
            self._went_back, lambda error: failed(error, ''),
        )

    def build_engines(self) -> None:
        """Build for build_size, if it is given; else the first frame does it."""
        width, height = self.settings.node.build_size
        if width and height:
            stereo = needs_pair(self._node.tasks.inputs(self.settings))
            self._build(blank_frame(width, height, stereo))

    def publish_latched(self) -> None:
        """Publish model_info and label_info, once and again when an engine took over."""
        serving = tuple((state.serving, state.engine_key)
                        for state in self.loaded.states().values())
        if serving == self._told:
            return
        self._told = serving
        assert self._outputs is not None
        stamp_ns = self._node.get_clock().now().nanoseconds
        for task in self._node.tasks.tasks:
            self._outputs.publish(task, latched_messages(
                task, self.loaded.model_info(task), self._node.factory, stamp_ns
            ))

    def findings(self) -> list[Finding]:
        """What the interfaces and missing packages give to say."""
        found = [finding for one in self._interfaces.values() for finding in one.findings()]
        if self._outputs is not None and self._outputs.missing:
            found.append(Finding(OK, f'not published: {", ".join(self._outputs.missing)}'))
        return found

    def close(self) -> None:
        """Free everything."""
        for interface in self._interfaces.values():
            interface.close()
        self._interfaces.clear()
        if self._outputs is not None:
            self._outputs.close()
        self.loaded.close()

    def _build_for(self, raw: RawFrame) -> None:
        """Build for a frame that came; in the worker's thread."""
        self._build(FrameDecoder(self.settings.node.rectify)(raw))

    def _build(self, frame: StereoFrame | MonoFrame) -> None:
        good = build_engines(self.loaded, frame, self._node.get_logger().info)
        self._node.finish(0 if good else 1)

    def _open_interfaces(self) -> None:
        node = self._node
        if self.settings.mount is not None:
            self._interfaces['mount'] = MountInterface(
                node, self.settings.mount, self._base_frames(), self.loaded
            )
        for task, config in self.settings.ros.items():
            prefix = node.tasks.topic_prefixes()[task]
            if task == 'visual_odometry':
                self._interfaces[task] = OdometryInterface(
                    node, prefix, config, self.loaded, node.on_worker
                )
            else:
                self._interfaces[task] = MapInterface(
                    node, prefix, f'{node.tasks.parameter_prefix(task)}map_path', config,
                    self.loaded, node.on_worker,
                )

    def _context(self) -> Context:
        context = {}
        odometry = self._interfaces.get('visual_odometry')
        if isinstance(odometry, OdometryInterface):
            context['trajectory'] = odometry.trajectory
        if 'segmentation' in self.loaded.runners:
            context['palette'] = tuple(self.loaded.runners['segmentation'].card.palette)
        if 'place_recognition' in self.settings.ros:
            context['map_frame'] = self.settings.ros['place_recognition'].map_frame
            context['base_frame'] = self.settings.ros['place_recognition'].base_frame
        return Context(**context)

    def _base_frames(self) -> dict[str, str]:
        """By task, what it calls the vehicle."""
        frames = {}
        if 'visual_odometry' in self.settings.pipelines:
            frames['visual_odometry'] = self.settings.pipelines['visual_odometry'].base_frame
        if 'place_recognition' in self.settings.ros:
            frames['place_recognition'] = self.settings.ros['place_recognition'].base_frame
        return frames

    def _went_back(self) -> None:
        """In the worker's thread, before the first frame of the earlier time."""
        self.loaded.perception.reset()
        for interface in self._interfaces.values():
            interface.went_back()
