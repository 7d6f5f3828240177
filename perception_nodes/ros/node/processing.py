# SPDX-License-Identifier: Apache-2.0
"""What a node's worker does with a frame: decode, run, encode, publish."""

import time

from perception_nodes.pipelines.publish import ResultPublisher
from perception_nodes.ros.input.frames import FrameDecoder, decode_auxiliary
from perception_nodes.ros.input.raw_frame import RawFrame
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.output.outputs import Outputs
from perception_nodes.ros.tasks.interface import TaskInterface
from perception_nodes.ros.tasks.loading import Loaded


class Processing:
    """Runs in the worker's thread; called with each frame.

    Parameters
    ----------
    outputs : knows what somebody listens to. publisher : makes and publishes that.
    interfaces : each looks at a frame first (False lets it go by: no transform known yet), and
        gets the results (to broadcast transforms).
    """

    def __init__(
        self, host: Host, loaded: Loaded, outputs: Outputs, publisher: ResultPublisher,
        decode: FrameDecoder, interfaces: tuple[TaskInterface, ...] = (),
    ) -> None:
        self._host, self._statistics = host, host.statistics
        self._loaded, self._outputs, self._publisher = loaded, outputs, publisher
        self._decode, self._interfaces = decode, interfaces

    def __call__(self, raw: RawFrame) -> None:
        """Answer one frame; PerceptionError if it is bad."""
        perception = self._loaded.perception
        wanted = {task: self._outputs.wanted(task) for task in perception.tasks}
        needed = perception.needed_for([task for task, topics in wanted.items() if topics])
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
        results = perception(frame, needed, given, failed)
        self._publisher.publish(results, frame.image, wanted, failed)
        for interface in self._interfaces:
            interface.after(results)
        if lost != needed:
            self._statistics.count('out')
            self._statistics.latency((time.monotonic() - raw.arrived_s) * 1e3)
