# SPDX-License-Identifier: Apache-2.0
"""Writing a rosbag2 that `ros2 bag` and Foxglove read; it is either whole or not there."""

from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from perception_nodes.bags.factory import typestore
from perception_nodes.files.atomic import temporary_folder
from perception_nodes.types import PerceptionError

COMPRESSIONS = {'none': CompressionMode.NONE, 'zstd': CompressionMode.STORAGE}

# The newest layout of metadata.yaml that Humble's `ros2 bag` reads as well.
METADATA_VERSION: Final = 8


class BagWriter:
    """A new bag (MCAP), written under a temporary name and renamed when it is closed.

    Leaving its with statement by an exception leaves nothing behind.

    Parameters
    ----------
    path : folder to be; it must not exist, or be an empty folder.
    compression : 'zstd' (per chunk, inside the MCAP) or 'none'.

    Raises
    ------
    PerceptionError
        If the folder exists, cannot be written, or the disk is full.
    """

    def __init__(self, path: str | Path, *, compression: str = 'zstd') -> None:
        self.path = Path(path)
        if compression not in COMPRESSIONS:
            raise PerceptionError(f'compression is zstd or none, not {compression!r}')
        if self.path.exists() and not is_empty_folder(self.path):
            raise PerceptionError(f'{self.path} exists already; choose a new name')
        self._store = typestore()
        self._connections: dict[str, Connection] = {}
        self._stack = ExitStack()
        self._temporary = self._stack.enter_context(
            temporary_folder(self.path.name, self.path.parent)
        )
        try:
            self._writer = Writer(
                self._temporary / self.path.name, version=METADATA_VERSION,
                storage_plugin=StoragePlugin.MCAP,
            )
            self._writer.set_compression(COMPRESSIONS[compression], CompressionFormat.ZSTD)
            self._writer.open()
        except (OSError, WriterError) as error:
            self.abort()
            raise PerceptionError(cannot_write(self.path, error)) from None

    def __enter__(self) -> 'BagWriter':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def add_topic(self, topic: str, type_name: str, *, latched: bool = False) -> None:
        """Announce a topic; one that never gets a message is then listed all the same."""
        if topic in self._connections:
            if self._connections[topic].msgtype != type_name:
                raise PerceptionError(
                    f'topic {topic} is {self._connections[topic].msgtype}, not {type_name}'
                )
            return
        if type_name not in self._store.types:
            raise PerceptionError(f'message type {type_name} is not known to the bag library')
        self._connections[topic] = self._writer.add_connection(
            topic, type_name, typestore=self._store, offered_qos_profiles=[_qos(latched)]
        )

    def write(self, topic: str, recorded_ns: int, message: Any) -> None:
        """Write one message made by a BagFactory; the topic is announced if it was not.

        Raises
        ------
        PerceptionError
            If the disk is full, or the topic has another type.
        """
        kind = message.__msgtype__
        self.write_raw(topic, kind, recorded_ns, self._store.serialize_cdr(message, kind))

    def write_raw(
        self, topic: str, type_name: str, recorded_ns: int, data: bytes | memoryview
    ) -> None:
        """Write one message that is CDR bytes already; errors as :meth:`write`."""
        self.add_topic(topic, type_name)
        try:
            self._writer.write(self._connections[topic], recorded_ns, data)
        except OSError as error:
            self.abort()
            raise PerceptionError(cannot_write(self.path, error)) from None

    def close(self) -> None:
        """Finish the bag and rename it to its final name."""
        try:
            self._writer.close()
            if self.path.exists():
                self.path.rmdir()
            (self._temporary / self.path.name).rename(self.path)
            self._stack.close()
        except OSError as error:
            self.abort()
            raise PerceptionError(cannot_write(self.path, error)) from None

    def abort(self) -> None:
        """Give up: nothing is left behind."""
        with suppress(Exception):
            self._writer.abort()
        self._stack.close()


def is_empty_folder(path: Path) -> bool:
    """Return whether this is a folder without entries."""
    return path.is_dir() and next(path.iterdir(), None) is None


def cannot_write(path: Path, error: Exception) -> str:
    """Say in one line why a file or folder cannot be written."""
    return f'cannot write {path}: {getattr(error, "strerror", None) or error}'


def _qos(latched: bool) -> Qos:
    # RMW_DURATION_INFINITE: 2**63 - 1 nanoseconds.
    never = QosTime(9_223_372_036, 854_775_807)
    return Qos(
        QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, never, never,
        QosLiveliness.AUTOMATIC, never, False,
    )
