# SPDX-License-Identifier: Apache-2.0
"""Publishing of results: the same messages from a node's publishers and into a replayed bag."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from perception_nodes.messages.context import Context
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.pipelines.build import model_infos
from perception_nodes.pipelines.perception import Failed, Perception, Results
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import Image

__all__ = ['ResultPublisher', 'Sink']


class Sink(Protocol):
    """Where messages go: publishers, or a bag."""

    def put(self, task: str, topic: str, message: Any, stamp_ns: int) -> None:
        """Take a message of a task's topic; the stamp is that of the image behind it."""
        ...


class ResultPublisher:
    """Writes the results of some tasks as their nodes' topics.

    Parameters
    ----------
    perception : whose results they are.
    factory : makes the messages. sink : takes them.
    """

    def __init__(self, perception: Perception, factory: MessageFactory, sink: Sink) -> None:
        self._perception, self._factory, self._sink = perception, factory, sink
        self._infos: dict[str, dict[str, Any]] = {}
        self._histories = {
            task: make(perception.pipelines[task].config, factory)
            for task in perception.tasks
            if (make := TASKS[task].implementation.history) is not None
        }

    def publish_latched(self, stamp_ns: int) -> dict[str, dict[str, Any]]:
        """Publish what models and backends are in use; return it by task.

        Once, when that is settled, and again when another backend took over.
        """
        self._infos = model_infos(self._perception)
        for task, info in self._infos.items():
            messages = TASKS[task].latched_messages(info, self._factory, stamp_ns)
            for topic, message in messages.items():
                self._sink.put(task, topic, message, stamp_ns)
        return self._infos

    def publish(
        self, results: Results, image: Image, wanted: Mapping[str, Collection[str]],
        failed: Failed | None = None,
    ) -> None:
        """Publish the results of one frame.

        Parameters
        ----------
        image : of the frame (the left one of a pair).
        wanted : topic names by task; only these are made.
        failed : called with a task whose result cannot be written; the others are. None: the
            first failure is raised.
        """
        for task, result in results.items():
            try:
                self._publish_one(task, result, image, wanted.get(task, ()))
            except Exception as error:  # as in Perception: no reason for the others
                if failed is None:
                    raise
                failed(task, error)

    def forget(self, task: str = '') -> None:
        """Forget earlier results, of a task or of all."""
        for name, history in self._histories.items():
            if task in ('', name):
                history.clear()

    def _publish_one(
        self, task: str, result: Any, image: Image, wanted: Collection[str]
    ) -> None:
        history = self._histories.get(task)
        if history is not None:
            history.append(result)
        if not wanted:
            return
        palette = tuple(self._infos.get(task, {}).get('palette', ()))
        context = Context(image, palette, history)
        messages = TASKS[task].implementation.encode(result, self._factory, wanted, context)
        for topic, message in messages.items():
            self._sink.put(task, topic, message, image.stamp_ns)
