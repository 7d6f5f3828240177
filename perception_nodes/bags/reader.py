# SPDX-License-Identifier: Apache-2.0
"""Reading a rosbag2, whoever wrote it: topics, and messages in the order they were recorded."""

import heapq
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.rosbag2 import Reader

from perception_nodes.bags.factory import typestore
from perception_nodes.bags.storage import (
    damaged,
    find_storage_files,
    open_storage,
    plain_message,
)
from perception_nodes.types import PerceptionError


@dataclass(frozen=True)
class TopicSummary:
    """What a bag says of one topic: full type name and number of messages."""

    type: str
    count: int


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

    Raises
    ------
    PerceptionError
        If there is no bag, a split is missing, or a file is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        self._files: list[tuple[Path, Reader]] = []
        try:
            for file in find_storage_files(self.path):
                self._files.append((file, open_storage(file, self._stack)))
            self._check_serialization()
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
        self._files = []

    def topics(self) -> dict[str, TopicSummary]:
        """List the topics by name; a type name of the old form gets its ``/msg/``."""
        found: dict[str, TopicSummary] = {}
        for connection in (c for _, reader in self._files for c in reader.connections):
            kind = full_type(connection.msgtype)
            known = found.get(connection.topic, TopicSummary(kind, 0))
            if known.type != kind:
                raise PerceptionError(
                    f'{self.path}: topic {connection.topic} has two types, {known.type} and {kind}'
                )
            found[connection.topic] = TopicSummary(kind, known.count + connection.msgcount)
        return dict(sorted(found.items()))

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Give messages in the order of their recording, over all files.

        Parameters
        ----------
        topics : names of the wanted ones; None = all.

        Raises
        ------
        PerceptionError
            If a message is damaged, or its type is not known.
        """
        for topic, kind, recorded_ns, data in self.raw_messages(topics):
            yield BagMessage(topic, kind, recorded_ns, self._deserialize(topic, kind, data))

    def raw_messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """Give messages as :meth:`messages` does, but as the CDR bytes that were recorded."""
        streams = [self._raw(path, reader, topics) for path, reader in self._files]
        return heapq.merge(*streams, key=lambda raw: raw.recorded_ns)

    def first(self, topic: str) -> BagMessage | None:
        """Give the first message of a topic; None if there is none."""
        return next(self.messages([topic]), None)

    def _raw(
        self, path: Path, reader: Reader, topics: Collection[str] | None
    ) -> Iterator[RawMessage]:
        connections = [c for c in reader.connections if topics is None or c.topic in topics]
        if not connections:
            return
        try:
            for connection, recorded_ns, data in reader.messages(connections):
                kind = full_type(connection.msgtype)
                yield RawMessage(connection.topic, kind, recorded_ns, plain_message(data))
        # A parser on foreign bytes fails in many ways; all of them mean a damaged file.
        except Exception as error:
            raise PerceptionError(damaged(path, error)) from error

    def _deserialize(self, topic: str, kind: str, data: bytes) -> Any:
        store = typestore()
        if kind not in store.types:
            raise PerceptionError(f'{self.path}: topic {topic} has the unknown type {kind}')
        try:
            return store.deserialize_cdr(data, kind)
        # As above: generated code on foreign bytes.
        except Exception as error:
            raise PerceptionError(
                f'{self.path}: a message of topic {topic} is not a valid {kind} '
                f'({type(error).__name__}: {error})'
            ) from error

    def _check_serialization(self) -> None:
        for path, reader in self._files:
            for connection in reader.connections:
                form = getattr(connection.ext, 'serialization_format', 'cdr')
                if form != 'cdr':
                    raise PerceptionError(
                        f'{path}: topic {connection.topic} is serialized as {form!r}; '
                        'only ROS 2 bags (cdr) are read'
                    )


def open_bag(path: str | Path) -> BagReader:
    """Open a bag; see BagReader."""
    return BagReader(path)


def full_type(name: str) -> str:
    """Give a type name its middle part: 'sensor_msgs/Image' was written until 2019."""
    package, _, rest = name.partition('/')
    return name if '/' in rest else f'{package}/msg/{rest}'
