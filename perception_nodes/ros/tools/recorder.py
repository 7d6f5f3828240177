# SPDX-License-Identifier: Apache-2.0
"""Recording topics into a rosbag2, as ``ros2 bag record`` does where that is installed."""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType

import rclpy
from rclpy.context import Context
from rclpy.executors import (  # type: ignore[attr-defined]
    ExternalShutdownException,
    InvalidHandle,
    SingleThreadedExecutor,
)
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from perception_nodes.bags.writer import BagWriter
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.factory import any_message_class
from perception_nodes.types import PerceptionError

QUEUE_BYTES = 1 << 30
DEPTH = 30
ENDLESS = ('/diagnostics', '/clock', '/rosout')


def node_topics(tasks: Collection[str], names: Collection[str] | None = None) -> dict[str, str]:
    """Topics that the nodes of some tasks publish, with their types.

    Parameters
    ----------
    names : which of them, as in the table of topics ('mask', 'depth/image_rect'); None = all but
        the images for eyes.
    """
    return {
        full_name(task, topic.name): topic.type
        for task in tasks for topic in TASKS[task].topics
        if any_message_class(topic.type) is not None
        and (topic.name in names if names is not None else not topic.on_demand)
    }


class Recorder:
    """Records from its construction until it is closed; use it in a with statement.

    Leaving the with statement by an exception leaves no bag behind.

    Parameters
    ----------
    path : of the new bag (MCAP).
    topics : name to type.
    compression : 'none', which keeps up with images, or 'zstd'.
    context : None = one of its own.

    Attributes
    ----------
    counts : messages recorded, by topic.
    missed : messages given up because the disk did not keep up.
    """

    def __init__(
        self, path: str | Path, topics: Mapping[str, str], *, compression: str = 'none',
        context: Context | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.missed = 0
        self._error: Exception | None = None
        self._waiting: queue.SimpleQueue[tuple[str, str, int, bytes] | None]
        self._waiting = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._writer = BagWriter(path, compression=compression)
        self._own_context = context is None
        self._context = context or Context()
        if self._own_context:
            rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node(
            'record', context=self._context, start_parameter_services=False
        )
        for topic, type_name in topics.items():
            self._subscribe(topic, type_name)
        self._topics = tuple(topics)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._threads = [
            threading.Thread(target=self._spin, name='record', daemon=True),
            threading.Thread(target=self._write, name='record to disk', daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> 'Recorder':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._stop()
            self._writer.abort()

    def wait_for_publishers(self, wait_s: float = 20.0) -> None:
        """Wait until every topic has a publisher; PerceptionError naming those that have none."""
        end = time.monotonic() + wait_s
        while missing := [t for t in self._topics if not self._node.count_publishers(t)]:
            if time.monotonic() > end:
                raise PerceptionError(f'nobody publishes {", ".join(missing)}')
            time.sleep(0.05)

    def settle(self, quiet_s: float = 1.0, wait_s: float = 30.0) -> None:
        """Wait until nothing has come for a while: the nodes have answered the last frame."""
        end = time.monotonic() + wait_s
        seen, since = -1, time.monotonic()
        while time.monotonic() < end:
            total = sum(n for topic, n in self.counts.items() if topic not in ENDLESS)
            if total != seen:
                seen, since = total, time.monotonic()
            elif time.monotonic() - since >= quiet_s:
                return
            time.sleep(0.05)

    def close(self) -> None:
        """Write what waits and finish the bag; PerceptionError if the disk was full."""
        self._stop()
        if self._error is not None:
            raise self._error
        self._writer.close()

    def _subscribe(self, topic: str, type_name: str) -> None:
        known = any_message_class(type_name)
        if known is None:
            raise PerceptionError(f'{topic}: message type {type_name} is not installed')
        latched = any(
            topic.endswith(f'/{entry.name}') and entry.latched
            for task in TASKS.values() for entry in task.topics
        )
        self._writer.add_topic(topic, type_name, latched=latched)
        self._node.create_subscription(
            known, topic, self._callback(topic, type_name), _qos(latched), raw=True
        )

    def _callback(self, topic: str, type_name: str) -> Callable[[bytes], None]:
        def received(data: bytes) -> None:
            if self._waiting_bytes > QUEUE_BYTES:
                self.missed += 1
                return
            self._waiting_bytes += len(data)
            self._waiting.put((topic, type_name, time.time_ns(), data))
            self.counts[topic] += 1

        return received

    def _spin(self) -> None:
        # Shut down in the middle of a callback, the executor may wake what is destroyed already.
        with contextlib.suppress(ExternalShutdownException, InvalidHandle):
            self._executor.spin()

    def _write(self) -> None:
        while (entry := self._waiting.get()) is not None:
            self._waiting_bytes -= len(entry[3])
            if self._error is not None:
                continue
            try:
                self._writer.write_raw(*entry)
            except PerceptionError as error:
                self._error = error

    def _stop(self) -> None:
        self._executor.shutdown()
        self._threads[0].join()
        self._waiting.put(None)
        self._threads[1].join()
        self._node.destroy_node()
        if self._own_context:
            self._context.try_shutdown()


def _qos(latched: bool) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1 if latched else DEPTH,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
