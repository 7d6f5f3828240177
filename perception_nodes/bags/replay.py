# SPDX-License-Identifier: Apache-2.0
"""Every frame of a bag through the pipelines, and the results as the nodes' topics into a bag.

The pipelines and the encoders are those of the nodes, so the topics are what the nodes would have
published had they kept up with every frame. Nothing here depends on the clock: the same bag gives
the same bytes.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.writer import BagWriter
from perception_nodes.errors import reason_of
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.perception import Perception, Results
from perception_nodes.pipelines.publish import ResultPublisher
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.pipelines.timed import TimedPipeline
from perception_nodes.types import PerceptionError

Progress = Callable[[int], None]


@dataclass
class Replayed:
    """What a replay did.

    Attributes
    ----------
    frames : frames that went through.
    unpaired : images without a partner, (left, right).
    messages : number of messages by full topic name; 0 for a topic that stayed silent.
    digests : SHA-256 of all messages' bytes by full topic name: two replays can be compared.
    milliseconds : time of every call by task, and of the whole frame under 'frame'.
    infos : the content of ``model_info``, by task.
    failures : frames on which a task failed and why it first did, by task.
    """

    frames: int = 0
    unpaired: tuple[int, int] = (0, 0)
    messages: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    infos: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        """What the user should know of tasks that failed."""
        return tuple(
            f'{task} failed on {number} of {self.frames} frames, first with: {reason}'
            for task, (number, reason) in self.failures.items()
        )


def replay(
    frames: BagFrames, perception: Perception, writer: BagWriter, *, on_demand: bool = False,
    max_frames: int | None = None, progress: Progress = lambda _: None,
    observe: Callable[[Results], None] = lambda _: None,
) -> Replayed:
    """Run all frames and write the results.

    A task that fails on a frame costs its own result of that frame; it is counted.

    Parameters
    ----------
    frames : of an open bag.
    perception : the tasks to run.
    writer : an open bag; closing it is the caller's.
    on_demand : also write the topics that nodes make only for a listener (overlay, points,
        colours); the path is written once, at the end.
    max_frames : stop after so many; None = all.
    progress : called after every frame with the number of frames done.
    observe : called with the results of every frame, as the pipelines returned them.

    Raises
    ------
    PerceptionError
        If no frame can be used, all tasks fail on all frames, or the disk is full.
    """
    done = Replayed()

    def failed(task: str, error: Exception) -> None:
        number, reason = done.failures.get(task, (0, reason_of(error)))
        done.failures[task] = number + 1, reason

    pipelines = {task: TimedPipeline(perception.pipelines[task]) for task in perception.tasks}
    done.milliseconds = {task: pipeline.call_ms for task, pipeline in pipelines.items()}
    timed = Perception(pipelines)
    bag = _Bag(writer, perception.tasks, on_demand)
    publisher = ResultPublisher(perception, BagFactory(), bag)
    jumps = 0
    for frame in islice(iter(frames), max_frames):
        if frames.order.jumps > jumps:  # a new pass starts at the origin
            jumps = frames.order.jumps
            timed.reset()
        start_ns = time.perf_counter_ns()
        results = timed(frame, failed=failed)
        done.milliseconds.setdefault('frame', []).append(_since_ms(start_ns))
        if not done.frames:  # now it is settled what runs the models
            done.infos = publisher.publish_latched(frame.image.stamp_ns)
        observe(results)
        publisher.publish(results, frame.image, bag.wanted)
        done.frames += 1
        progress(done.frames)
    if done.frames and all(
        done.failures.get(task, (0, ''))[0] == done.frames for task in perception.tasks
    ):
        raise PerceptionError('; '.join(
            f'{task} fails on every frame: {reason}'
            for task, (_, reason) in done.failures.items()
        ))
    done.digests, done.messages = bag.finish(), bag.messages
    done.unpaired = (frames.pairer.unpaired[0], frames.pairer.unpaired[1])
    return done


class _Bag:
    """A Sink that writes the tasks' topics into a bag, and counts them."""

    def __init__(self, writer: BagWriter, tasks: Iterable[str], on_demand: bool) -> None:
        self._writer, self._store = writer, typestore()
        self._hashes: dict[str, Any] = {}
        self._last: dict[str, tuple[Any, int]] = {}
        self.messages: Counter[str] = Counter()
        self._topics = {
            task: {topic.name: topic for topic in TASKS[task].topics
                   if on_demand or not topic.on_demand}
            for task in tasks
        }
        self.wanted = {task: set(topics) for task, topics in self._topics.items()}
        for task, topics in self._topics.items():
            for topic in topics.values():
                name = full_name(task, topic.name)
                writer.add_topic(name, topic.type, latched=topic.latched)
                self.messages[name] = 0
                self._hashes[name] = hashlib.sha256()

    def put(self, task: str, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message; of a cumulative topic the last one, at the end."""
        if self._topics[task][topic].cumulative:
            self._last[full_name(task, topic)] = (message, stamp_ns)
        else:
            self._write(full_name(task, topic), message, stamp_ns)

    def finish(self) -> dict[str, str]:
        """Write what was kept for the end; return the digest of every topic."""
        for topic, (message, stamp_ns) in self._last.items():
            self._write(topic, message, stamp_ns)
        return {topic: digest.hexdigest() for topic, digest in sorted(self._hashes.items())}

    def _write(self, topic: str, message: Any, stamp_ns: int) -> None:
        data = self._store.serialize_cdr(message, message.__msgtype__)
        self._writer.write_raw(topic, message.__msgtype__, stamp_ns, data)
        self._hashes[topic].update(data)
        self.messages[topic] += 1


def _since_ms(start_ns: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1e6
