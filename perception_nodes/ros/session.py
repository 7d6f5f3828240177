# SPDX-License-Identifier: Apache-2.0
"""What exists only while a node is active: subscriptions, frames in the making, the worker."""

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode

from perception_nodes.ros.assembler import Assembler, AuxiliaryInput, RawFrame
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.connected import connections
from perception_nodes.ros.inputs import Input, Inputs, needed_infos, needs_pair
from perception_nodes.ros.preflight import (
    View,
    published_auxiliaries,
    silent_because,
    taken_for_rectified,
)
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.ros.worker import Worker

RELEASE_S = 0.02


class Session:
    """Opened by activate, closed by deactivate.

    Parameters
    ----------
    process : answers a frame, in the worker's thread.
    reset : forgets the past, in the worker's thread, when stamps go back.
    failed : told of what they raised.
    """

    def __init__(
        self, node: LifecycleNode, config: NodeConfig, inputs: tuple[Input, ...],
        auxiliaries: tuple[AuxiliaryInput, ...], statistics: Statistics, problems: Problems,
        process: Callable[[RawFrame], None], reset: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._statistics, self._reset = statistics, reset
        self.worker: Worker[RawFrame] = Worker(process, failed, f'{node.get_name()} worker')
        self.assembler = Assembler(
            self._emit, self._went_back, stereo=needs_pair(inputs), infos=needed_infos(inputs),
            tolerance_ns=round(config.sync_tolerance_s * 1e9), auxiliaries=auxiliaries,
            wait_s=config.auxiliary_wait_s,
        )
        self._inputs = Inputs(
            node, inputs, self.assembler, statistics, problems, config.queue_size
        )
        self._view = View(
            node, self._inputs.subscriptions, statistics, self.assembler, config.sync_tolerance_s
        )
        self._node, self._rectifies = node, config.rectify
        self._release_timer = None
        if auxiliaries:
            self._release_timer = node.create_timer(
                RELEASE_S, self.assembler.release, clock=node.steady_clock
            )
        try:
            self._inputs.open()
        except BaseException:  # a QoS override that is none
            self.close()
            raise
        self.worker.start()

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before the worker was free."""
        return self.worker.mailbox.dropped

    def connections(self) -> dict[str, str]:
        """Say how many publishers each input is matched with."""
        return connections(self._node, self._inputs.subscriptions.values())

    def silent_because(self) -> str:
        """Say why no frame comes; '' while they do. Looks at who publishes on the way."""
        self.assembler.expected = published_auxiliaries(self._view)
        return silent_because(self._view)

    def taken_for_rectified(self) -> str:
        """Say which raw images are taken for rectified ones; '' if none seem to be."""
        return '' if self._rectifies else taken_for_rectified(self._view)

    def close(self) -> None:
        """End the subscriptions, then the worker when it has finished its frame."""
        self._inputs.close()
        if self._release_timer is not None:
            self._node.destroy_timer(self._release_timer)
        self.worker.stop()

    def _emit(self, frame: RawFrame) -> None:
        self._statistics.count('in')
        self.worker.mailbox.put(frame)

    def _went_back(self) -> None:
        self._statistics.count('jumped back')
        self.worker.mailbox.forget()
        self.worker.mailbox.put_job(self._reset)
