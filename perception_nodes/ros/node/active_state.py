# SPDX-License-Identifier: Apache-2.0
"""What exists only while a node is active: subscriptions, incomplete frames, the worker."""

import time
from collections.abc import Callable

from perception_nodes.ros.input.assembler import Assembler
from perception_nodes.ros.input.connections import connections
from perception_nodes.ros.input.preflight import (
    View,
    published_auxiliary,
    silent_because,
    taken_for_rectified,
)
from perception_nodes.ros.input.raw_frame import Assembly, RawFrame
from perception_nodes.ros.input.subscriptions import Subscriptions
from perception_nodes.ros.input.topics import needed_infos, needs_pair
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.node.worker import Worker
from perception_nodes.ros.tasks.task_set import Settings

TICK_S = 0.02
# For the frame under way; a node that is asked to end has to end.
PATIENCE_S = 5.0


class ActiveState:
    """Opened by activate, closed by deactivate.

    Parameters
    ----------
    process : answers a frame, in the worker's thread.
    reset : forgets the past, in the worker's thread, when stamps go back.

    Attributes
    ----------
    builds_only : whether frames are only looked at to build engines for them.
    """

    def __init__(
        self, host: Host, settings: Settings, process: Callable[[RawFrame], None],
        reset: Callable[[], None],
    ) -> None:
        config, node = settings.node, host.node
        inputs, auxiliary = host.tasks.inputs(settings), host.tasks.auxiliary(settings)
        self._node, self._statistics, self._reset = node, host.statistics, reset
        self._rectifies, self.builds_only = config.rectify, config.build_only
        self._since_s = time.monotonic()
        self.worker: Worker[RawFrame] = Worker(
            process, lambda error: host.failed(error, ''), f'{node.get_name()} worker'
        )
        assembly = Assembly(
            stereo=needs_pair(inputs), infos=needed_infos(inputs),
            sync=config.sync, tolerance_ns=round(config.sync_tolerance_s * 1e9),
            capacity=config.pair_capacity, auxiliary=auxiliary,
            wait_s=config.auxiliary_wait_s, clock_jump_s=config.clock_jump_s,
            info_max_age_s=config.camera_info_max_age_s,
        )
        self.assembler = Assembler(
            assembly, host.statistics, host.problems, self._emit, self._time_jumped
        )
        self._subscriptions = Subscriptions(
            node, inputs, self.assembler, config.queue_size, self._start_ticking,
            host.filter_input,
        )
        self._view = View(
            node, self._subscriptions.by_input, host.statistics, self.assembler,
            None if config.sync == 'exact' else config.sync_tolerance_s,
        )
        self._timer = node.create_timer(TICK_S, self._tick, clock=host.steady_clock)
        self._timer.cancel()  # it runs while a frame waits
        try:
            self._subscriptions.open()
        except BaseException:  # a QoS override that is none
            self.close()
            raise
        self.worker.start()

    @property
    def age_s(self) -> float:
        """How long the node has been active."""
        return time.monotonic() - self._since_s

    def connections(self) -> dict[str, str]:
        """Return how many publishers each input is matched with."""
        return connections(self._node, self._subscriptions.by_input.values())

    def silent_because(self) -> str:
        """Return why no frame comes; '' while they do. Looks at who publishes on the way."""
        self.assembler.auxiliary_results.expected = published_auxiliary(self._view)
        self._subscriptions.follow_latched()
        return silent_because(self._view)

    def taken_for_rectified(self) -> str:
        """Return which raw images are taken for rectified ones; '' if none seem to be."""
        return '' if self._rectifies else taken_for_rectified(self._view)

    def close(self) -> bool:
        """End the subscriptions, then the worker; False if it hangs and was left behind."""
        self._subscriptions.close()
        self._node.destroy_timer(self._timer)
        return self.worker.stop(PATIENCE_S)

    def _start_ticking(self) -> None:
        if self.assembler.waiting and self._timer.is_canceled():
            self._timer.reset()

    def _tick(self) -> None:
        self.assembler.tick()
        if not self.assembler.waiting:
            self._timer.cancel()

    def _emit(self, frame: RawFrame) -> None:
        self._statistics.count('in')
        if self.worker.mailbox.put(frame):
            self._statistics.count('dropped')

    def _time_jumped(self) -> None:
        self.worker.mailbox.forget()
        self.worker.mailbox.put_job(self._reset)
