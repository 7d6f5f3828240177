# SPDX-License-Identifier: Apache-2.0
"""What exists from configure to cleanup: models, publishers, services."""

from collections.abc import Callable
from functools import partial

from perception_nodes.files.image_limits import ImageLimits
from perception_nodes.pipelines.perception import MonoFrame, StereoFrame
from perception_nodes.pipelines.publish import ResultPublisher
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.input.codecs import open_codec
from perception_nodes.ros.input.frames import FrameDecoder
from perception_nodes.ros.input.libraries import MESSAGE_FILTERS, load_library
from perception_nodes.ros.input.raw_frame import RawFrame
from perception_nodes.ros.input.topics import needs_pair
from perception_nodes.ros.node.active_state import ActiveState
from perception_nodes.ros.node.build_only import blank_frame, build_engines
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.node.processing import Processing
from perception_nodes.ros.output.diagnostics import OK, Finding
from perception_nodes.ros.output.outputs import Outputs
from perception_nodes.ros.tasks.interface import TaskInterface, TaskSite
from perception_nodes.ros.tasks.interfaces import INTERFACES
from perception_nodes.ros.tasks.loading import load
from perception_nodes.ros.tasks.mount import MountInterface
from perception_nodes.ros.tasks.task_set import Settings


class ConfiguredState:
    """Built by configure, closed by cleanup.

    Raises
    ------
    PerceptionError
        If a library that a parameter names is not installed, a model cannot be loaded or a map
        cannot be read; nothing is left behind.

    Attributes
    ----------
    loaded : the models and pipelines. settings : from the parameters.
    """

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self.settings = settings
        _check_libraries(settings.node)
        self.loaded = load(settings.models, settings.pipelines, settings.node)
        self._interfaces: list[TaskInterface] = []
        self._serving: tuple[tuple[str, str], ...] | None = None
        self._outputs = Outputs(host.node)
        try:
            self._outputs.open(host.tasks.topic_prefixes())
            self._publisher = ResultPublisher(
                self.loaded.perception, host.factory, self._outputs
            )
            self._open_interfaces()
        except BaseException:
            self.close()
            raise

    def activate(self) -> ActiveState:
        """Start to take images."""
        process: Callable[[RawFrame], None] = self._build_for
        if not self.settings.node.build_only:
            process = Processing(
                self._host, self.loaded, self._outputs, self._publisher,
                self._decoder(), tuple(self._interfaces),
            )
        return ActiveState(self._host, self.settings, process, self._time_jumped)

    def build_engines(self) -> None:
        """Build for build_size, if it is given; else the first frame does it."""
        width, height = self.settings.node.build_size
        if width and height:
            stereo = needs_pair(self._host.tasks.inputs(self.settings))
            self._build(blank_frame(width, height, stereo))

    def publish_latched(self) -> None:
        """Publish model_info and label_info, once and again when an engine took over."""
        serving = tuple((state.serving, state.engine_key)
                        for state in self.loaded.states().values())
        if serving == self._serving:
            return
        self._serving = serving
        self._publisher.publish_latched(self._host.node.get_clock().now().nanoseconds)

    def findings(self) -> list[Finding]:
        """What the interfaces and missing packages have to report."""
        found = [finding for one in self._interfaces for finding in one.findings()]
        if self._outputs.missing:
            found.append(Finding(OK, f'not published: {", ".join(self._outputs.missing)}'))
        return found

    def close(self, *, keep_models: bool = False) -> None:
        """Free everything; but not the models that a hanging worker may be in the middle of."""
        for interface in self._interfaces:
            interface.close()
        self._interfaces.clear()
        self._outputs.close()
        if not keep_models:
            self.loaded.close()

    def _build_for(self, raw: RawFrame) -> None:
        """Build for a frame that came; in the worker's thread."""
        self._build(self._decoder()(raw))

    def _decoder(self) -> FrameDecoder:
        settings = self.settings.node
        return FrameDecoder(
            settings.rectify, ImageLimits(megapixels=settings.max_megapixels), settings.codec
        )

    def _build(self, frame: StereoFrame | MonoFrame) -> None:
        good = build_engines(self.loaded, frame, self._host.node.get_logger().info)
        self._host.finish(0 if good else 1)

    def _open_interfaces(self) -> None:
        host, tasks = self._host, self._host.tasks
        if self.settings.mount is not None:
            self._interfaces.append(MountInterface(
                host.node, self.settings.mount, self._base_frames(), self.loaded
            ))
        for task, config in self.settings.ros.items():
            site = TaskSite(
                host.node, tasks.topic_prefixes()[task], tasks.parameter_prefix(task),
                host.on_worker, partial(self._publisher.forget, task),
            )
            self._interfaces.append(INTERFACES[task].open(site, config, self.loaded))

    def _base_frames(self) -> dict[str, str]:
        """By task, its name of the vehicle's frame."""
        return {
            task: config.base_frame for task, config in self.settings.pipelines.items()
            if TASKS[task].mounted
        }

    def _time_jumped(self) -> None:
        """In the worker's thread, before the first frame of the earlier time.

        A simulation or a recording that starts again is a new drive; on a vehicle the clock was
        set, and odometry is continuous (REP 105).
        """
        simulated = bool(self._host.node.get_parameter('use_sim_time').value)
        self.loaded.perception.reset(keep_pose=not simulated)
        for interface in self._interfaces:
            interface.time_jumped(keep_pose=not simulated)


def _check_libraries(config: NodeConfig) -> None:
    """PerceptionError now, rather than when the first image comes."""
    if config.sync != 'own':
        load_library(MESSAGE_FILTERS, f'sync: {config.sync}')
    open_codec(config.codec)
