# SPDX-License-Identifier: Apache-2.0
"""Reading a rosbag2, whoever wrote it: topics, and messages in the order they were recorded.

Topics that are not requested do no harm; damaged data is skipped and reported in ``notes``.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from perception_nodes.bags.factory import typestore
from perception_nodes.bags.limits import DEFAULT_LIMITS, BagLimits
from perception_nodes.bags.storage import find_layout, open_storage, plain_message
from perception_nodes.bags.storage_file import StorageFile, plural, shown
from perception_nodes.types import BagError

__all__ = ['BagMessage', 'BagReader', 'RawMessage', 'TopicSummary', 'full_type', 'open_bag']

SERIALIZATION = 'cdr'


@dataclass(frozen=True)
class TopicSummary:
    """A topic of a bag: full type name, number of messages, and whether it is latched.
    """

    type: str
    count: int
    latched: bool = False


@dataclass(frozen=True)
class BagMessage:
    """One recorded message.

    Attributes
    ----------
    recorded_ns : when it was written down (its own stamp is in its header).
    message : object with the fields of its type.
    """

    topic: str
    type: str
    recorded_ns: int
    message: Any


class RawMessage(NamedTuple):
    """One recorded message as its CDR bytes."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


class BagReader:
    """An open bag; close it, or use it in a with statement.

    Parameters
    ----------
    path : folder of a rosbag2 (MCAP or sqlite3, split or compressed in any of rosbag2's ways),
        or one of its files.
    limits : sizes above which nothing is unpacked.

    Raises
    ------
    BagError
        If there is no bag, a split is missing, or a file cannot be read.
    """

    def __init__(self, path: str | Path, limits: BagLimits = DEFAULT_LIMITS) -> None:
        self.path = Path(path)
        self._limits = limits
        self._stack = ExitStack()
        self._notes: dict[str, None] = {}
        self._left_out: dict[str, dict[int, str]] = {}
        try:
            layout = find_layout(self.path)
            self._files: list[StorageFile] = [
                open_storage(file, limits, self._stack) for file in layout.files
            ]
            self._notes.update(dict.fromkeys(layout.notes))
            self._topics = self._find_topics()
            self._compare(layout.declared)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> 'BagReader':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def file_notes(self) -> tuple[str, ...]:
        """What the user should know of the files: what is damaged, and what is missing."""
        lines = dict(self._notes)
        for file in self._files:
            lines |= file.problems
        return tuple(lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the bag: of its files, and what was left out so far."""
        lines = dict.fromkeys(self.file_notes)
        for topic, reasons in self._left_out.items():
            first_ns = min(reasons)
            lines[
                f'{plural(len(reasons), "message")} of {topic} left out; the one recorded at '
                f'{first_ns / 1e9:.3f} s: {reasons[first_ns]}'
            ] = None
        return tuple(lines)

    def topics(self) -> dict[str, TopicSummary]:
        """List the topics by name; a type name of the old form gets its ``/msg/``.

        Topics that are not of ROS 2 (JSON beside CDR), and those of two types, are not listed.
        """
        return dict(self._topics)

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Return messages in the order of their recording, over all files.

        A damaged message is left out, see ``notes``.

        Parameters
        ----------
        topics : names of the wanted ones; None = all.

        Raises
        ------
        BagError
            If the type of a message is not known.
        """
        for raw in self.raw_messages(topics):
            if raw.type not in typestore().types:
                raise BagError(
                    f'{self.path}: topic {raw.topic} has the unknown type {raw.type}'
                )
            try:
                message = typestore().deserialize_cdr(raw.data, raw.type)
            # Generated code on foreign bytes fails in many ways.
            except Exception as error:
                reason = ' '.join(str(error).split())[:100]
                self.leave_out(
                    raw, f'not a valid {raw.type} ({type(error).__name__}: {reason})'
                )
                continue
            yield BagMessage(raw.topic, raw.type, raw.recorded_ns, message)

    def raw_messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """Return messages as :meth:`messages` does, but as the CDR bytes that were recorded."""
        wanted = self._topics.keys() if topics is None else self._topics.keys() & set(topics)
        streams = [self._raw(file, wanted) for file in self._files]
        return heapq.merge(*streams, key=lambda raw: raw.recorded_ns)

    def first(self, topic: str) -> BagMessage | None:
        """Return the first intact message of a topic; None if there is none."""
        return next(self.messages([topic]), None)

    def leave_out(self, message: BagMessage | RawMessage, reason: str) -> None:
        """Note that a message was not used, and why; asked again for the same one, once."""
        reasons = self._left_out.setdefault(message.topic, {})
        reasons.setdefault(message.recorded_ns, reason)

    def note(self, line: str) -> None:
        """Note something that the user should know of the bag."""
        self._notes[line] = None

    def _raw(self, file: StorageFile, topics: Collection[str]) -> Iterator[RawMessage]:
        wanted = {key: c for key, c in file.channels.items() if c.topic in topics}
        for key, recorded_ns, data in file.messages(wanted.keys()) if wanted else ():
            channel = wanted[key]
            raw = RawMessage(channel.topic, full_type(channel.type), recorded_ns, data)
            try:
                yield raw._replace(data=plain_message(data, self._limits))
            except (ValueError, BagError) as error:
                self.leave_out(raw, str(error))

    def _find_topics(self) -> dict[str, TopicSummary]:
        channels = [channel for file in self._files for channel in file.channels.values()]
        foreign = {c.topic: c.serialization for c in channels if c.serialization != SERIALIZATION}
        if channels and len(foreign) == len({channel.topic for channel in channels}):
            topic, form = min(foreign.items())
            raise BagError(
                f'{self.path}: topic {topic} is serialized as {form!r}; only ROS 2 bags '
                f'({SERIALIZATION}) are read'
            )
        latched = {channel.topic for channel in channels if channel.latched}
        types: dict[str, set[str]] = {}
        counts: dict[str, int] = {}
        for channel in channels:
            types.setdefault(channel.topic, set()).add(full_type(channel.type))
            counts[channel.topic] = counts.get(channel.topic, 0) + channel.count
        for form in sorted(set(foreign.values())):
            names = sorted(topic for topic in foreign if foreign[topic] == form)
            self.note(
                f'left out: {shown(names)}, serialized as {form!r} and not as {SERIALIZATION}'
            )
        for topic, kinds in types.items():
            if len(kinds) > 1:
                self.note(
                    f'left out: {topic}, which has the types {" and ".join(sorted(kinds))}'
                )
        return {
            topic: TopicSummary(min(kinds), counts[topic], topic in latched)
            for topic, kinds in sorted(types.items()) if len(kinds) == 1 and topic not in foreign
        }

    def _compare(self, declared: dict[str, tuple[str, int]]) -> None:
        """Compare metadata.yaml with what the files hold."""
        held: Counter[str] = Counter()
        for channel in (c for file in self._files for c in file.channels.values()):
            held[channel.topic] += channel.count
        counts = {topic: number for topic, (_, number) in declared.items()} if declared else held
        for word, sign in (('fewer', 1), ('more', -1)):
            differ = [
                f'{topic} {held[topic]} of {counts.get(topic, 0)}'
                for topic in sorted(held.keys() | counts.keys())
                if sign * (counts.get(topic, 0) - held[topic]) > 0
            ]
            if differ:
                self.note(
                    f'{self.path}: the files hold {word} messages than metadata.yaml declares: '
                    f'{shown(differ, 4)}'
                )
        for topic, (kind, _) in declared.items():
            if topic in self._topics and self._topics[topic].type != full_type(kind):
                self.note(
                    f'{self.path}: {topic} is {self._topics[topic].type} by its file and '
                    f'{full_type(kind)} by metadata.yaml'
                )


def open_bag(path: str | Path) -> BagReader:
    """Open a bag; see BagReader."""
    return BagReader(path)


def full_type(name: str) -> str:
    """Complete a type name by its middle part: 'sensor_msgs/Image' was written until 2019."""
    package, _, rest = name.partition('/')
    return name if not rest or '/' in rest else f'{package}/msg/{rest}'
