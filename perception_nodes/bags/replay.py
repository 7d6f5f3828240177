# SPDX-License-Identifier: Apache-2.0
"""Every frame of a bag through the pipelines, and the results as the nodes' topics into a bag.

The pipelines and the encoders are those of the nodes, so the topics are what the nodes would have
published had they kept up with every frame. Nothing here depends on the clock: the same bag gives
the same bytes.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from perception_nodes.bags.factory import BagFactory, typestore
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.writer import BagWriter
from perception_nodes.messages.encode import ENCODERS, Context, latched_messages
from perception_nodes.messages.topics import TOPICS, full_name
from perception_nodes.messages.trajectory import Trajectory
from perception_nodes.pipelines.perception import Perception, Results, StereoFrame
from perception_nodes.types import Image

PATH_CAPACITY = 1_000_000

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
    infos : what ``model_info`` said, by task.
    """

    frames: int = 0
    unpaired: tuple[int, int] = (0, 0)
    messages: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    infos: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def replay(
    frames: BagFrames, perception: Perception, writer: BagWriter, *,
    info_of: Callable[[Any], Mapping[str, Any]] = lambda _pipeline: {}, on_demand: bool = False,
    max_frames: int | None = None, progress: Progress = lambda _: None,
    observe: Callable[[Results], None] = lambda _: None,
) -> Replayed:
    """Run all frames and write the results.

    Parameters
    ----------
    frames : of an open bag.
    perception : the tasks to run.
    writer : an open bag; closing it is the caller's.
    info_of : gives what ``model_info`` says of a pipeline, model card and backend; asked after
        the first frame, when it is settled what runs the models.
    on_demand : also write the topics that nodes make only for a listener (overlay, points,
        colours); the path is written once, at the end.
    max_frames : stop after so many; None = all.
    progress : called after every frame with the number of frames done.
    observe : called with the results of every frame, as the pipelines returned them.

    Raises
    ------
    PerceptionError
        If a message is malformed, a pipeline refuses a frame, or the disk is full.
    """
    done = Replayed()
    timed = _timed(perception, done.milliseconds)
    output = _Output(writer, perception.tasks, on_demand, done)
    for frame in islice(iter(frames), max_frames):
        start_ns = time.perf_counter_ns()
        results = timed(frame)
        done.milliseconds.setdefault('frame', []).append(_since_ms(start_ns))
        if not done.infos:
            done.infos = {task: info_of(getattr(perception, task)) for task in perception.tasks}
        observe(results)
        output.write(results, frame.left if isinstance(frame, StereoFrame) else frame.image)
        done.frames += 1
        progress(done.frames)
    output.finish()
    done.unpaired = (frames.pairer.unpaired[0], frames.pairer.unpaired[1])
    return done


class _Output:
    """Writes the results of each frame as the nodes' topics, and counts them."""

    def __init__(
        self, writer: BagWriter, tasks: tuple[str, ...], on_demand: bool, done: Replayed
    ) -> None:
        self._writer, self._done = writer, done
        self._factory = BagFactory()
        self._store = typestore()
        self._hashes: dict[str, Any] = {}
        self._trajectory = Trajectory(self._factory, PATH_CAPACITY)
        self._last_odometry: Any = None
        self._wanted = {
            task: {t.name for t in TOPICS[task] if on_demand or not t.on_demand} - {'path'}
            for task in tasks
        }
        self._on_demand = on_demand
        self._latched_written = False
        for task in tasks:
            for topic in TOPICS[task]:
                if topic.name in self._wanted[task] or (on_demand and topic.name == 'path'):
                    self._announce(full_name(task, topic.name), topic.type, topic.latched)

    def write(self, results: Results, image: Image) -> None:
        """Write what the tasks said of one image."""
        if not self._latched_written:
            self._write_latched(image)
        for task, wanted in self._wanted.items():
            result = getattr(results, task)
            if result is None:
                continue
            palette = tuple(self._done.infos.get(task, {}).get('palette', ()))
            messages = ENCODERS[task](result, self._factory, wanted, Context(image, palette))
            for name, message in messages.items():
                self._put(full_name(task, name), image.stamp_ns, message)
            if task == 'visual_odometry':
                self._trajectory.append(result)
                self._last_odometry = result

    def finish(self) -> None:
        """Write the path, and say how often each topic was written and what it held."""
        last = self._last_odometry
        if last is not None and self._on_demand:
            path = self._trajectory.message(last.stamp_ns, last.frame_id)
            self._put(full_name('visual_odometry', 'path'), last.stamp_ns, path)
        self._done.digests = {
            topic: digest.hexdigest() for topic, digest in sorted(self._hashes.items())
        }

    def _write_latched(self, image: Image) -> None:
        for task in self._wanted:
            latched = latched_messages(
                task, self._done.infos.get(task, {}), self._factory, image.stamp_ns, image.frame_id
            )
            for name, message in latched.items():
                self._put(full_name(task, name), image.stamp_ns, message)
        self._latched_written = True

    def _announce(self, topic: str, kind: str, latched: bool) -> None:
        self._writer.add_topic(topic, kind, latched=latched)
        self._done.messages[topic] = 0
        self._hashes[topic] = hashlib.sha256()

    def _put(self, topic: str, stamp_ns: int, message: Any) -> None:
        data = self._store.serialize_cdr(message, message.__msgtype__)
        self._writer.write_raw(topic, message.__msgtype__, stamp_ns, data)
        self._hashes[topic].update(data)
        self._done.messages[topic] += 1


class _Timed:
    """A pipeline that notes how long each call took."""

    def __init__(self, pipeline: Any, milliseconds: list[float]) -> None:
        self._pipeline, self._milliseconds = pipeline, milliseconds

    def __call__(self, *inputs: Any) -> Any:
        start_ns = time.perf_counter_ns()
        result = self._pipeline(*inputs)
        self._milliseconds.append(_since_ms(start_ns))
        return result

    def reset(self, **options: Any) -> None:
        """Reset the pipeline."""
        self._pipeline.reset(**options)


def _timed(perception: Perception, milliseconds: dict[str, list[float]]) -> Perception:
    timed: dict[str, Any] = {
        task: _Timed(getattr(perception, task), milliseconds.setdefault(task, []))
        for task in perception.tasks
    }
    return replace(perception, **timed)


def _since_ms(start_ns: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1e6
