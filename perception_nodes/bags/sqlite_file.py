# SPDX-License-Identifier: Apache-2.0
"""The messages of a .db3 file in the order of their recording.

Own code over the standard library's sqlite3: rosbags' reader opens another file where the path
holds a per cent sign, leaves out the write-ahead log, and stops at types without a definition.
"""

import sqlite3
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from perception_nodes.bags.limits import DEFAULT_LIMITS, BagLimits, too_large
from perception_nodes.bags.storage_file import Channel, Record, plural, says_latched
from perception_nodes.types import Array, BagError

__all__ = ['SqliteFile']

_INTEGERS = np.dtype([('row', 'i8'), ('channel', 'i8'), ('recorded_ns', 'i8')])


class SqliteFile:
    """An open .db3 (a ``storage_file.StorageFile``); a write-ahead log beside it is read too.

    Raises
    ------
    BagError
        If it is no rosbag2 database, or cannot be opened.
    """

    def __init__(self, path: Path, limits: BagLimits = DEFAULT_LIMITS) -> None:
        self.path, self._limits = path, limits
        self.problems: dict[str, None] = {}
        self._made: Path | None = None
        try:
            self._database = self._open()
        except sqlite3.Error as error:
            raise BagError(f'cannot read {path}: {_reason(error)}') from None
        try:
            self._places = self._read_places()
            self.channels = self._read_channels()
        except sqlite3.Error as error:
            self.close()
            raise BagError(f'{path} is damaged, or no rosbag2: {_reason(error)}') from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()
        if self._made is not None:
            self._made.unlink(missing_ok=True)

    def messages(self, channels: Collection[int]) -> Iterator[Record]:
        """Return the messages of some channels, oldest first.

        A message that cannot be read is skipped and reported in ``problems``.

        Raises
        ------
        BagError
            If a message is larger than the limits allow.
        """
        places = self._places[np.isin(self._places['channel'], list(channels))]
        lost: Counter[int] = Counter()
        for row, channel, recorded_ns in places.tolist():
            data = self._data(row, channel)
            if data is None:
                lost[channel] += 1
            else:
                yield Record(channel, recorded_ns, data)
        for channel, number in sorted(lost.items()):
            self._tell(
                f'{plural(number, "message")} of {self.channels[channel].topic} cannot be read'
            )

    def _open(self) -> sqlite3.Connection:
        """Open the database for reading, with what its write-ahead log adds to it.

        A recorder that was killed leaves its newest messages in the log (sqlite.org/wal.html).
        """
        log, shared, journal = (
            self.path.with_name(self.path.name + end) for end in ('-wal', '-shm', '-journal')
        )
        if journal.is_file() and journal.stat().st_size:
            self._tell(
                f'the recording was not closed, and {journal.name} holds what its last write '
                'replaced: messages may be missing; `ros2 bag reindex` on a copy mends it'
            )
        if log.is_file() and log.stat().st_size:
            if not shared.exists():
                self._made = shared
            try:
                database = self._connect('mode=ro')
            except sqlite3.Error as error:
                self._tell(
                    f'the recording was not closed, and its newest messages are left out: the '
                    f'write-ahead log {log.name} cannot be read here ({_reason(error)}); copy '
                    'both files to a folder that you may write'
                )
            else:
                self._tell(
                    f'the recording was not closed: messages of {log.name} are read too'
                )
                return database
        return self._connect('mode=ro&immutable=1')

    def _connect(self, how: str) -> sqlite3.Connection:
        # As a URI with every special character escaped: 'run%31' is not 'run1'.
        database = sqlite3.connect(
            f'{self.path.absolute().as_uri()}?{how}', uri=True, check_same_thread=False
        )
        try:
            database.execute('SELECT count(*) FROM sqlite_master').fetchone()
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _data(self, row: int, channel: int) -> bytes | None:
        """Return a message's bytes; None if the database is damaged there."""
        try:
            found = self._database.execute(
                'SELECT length(data), CASE WHEN length(data) <= ? THEN data END '
                'FROM messages WHERE rowid = ?', (self._limits.message_bytes, row),
            ).fetchone()
        except sqlite3.Error:
            return None
        if found is None or not isinstance(found[0], int):
            return None
        if found[0] > self._limits.message_bytes:
            raise BagError(
                f'{self.path}: a message of {self.channels[channel].topic} has '
                f'{too_large(self._limits.message_bytes)}'
            )
        return found[1] if isinstance(found[1], bytes) else None

    def _read_places(self) -> Array:
        """Row, channel and time of every message in the order of their recording.

        The table itself is walked over, not its index: a damaged index hides messages.
        """
        rows = array('q')
        strange = 0
        try:
            for entry in self._database.execute(
                'SELECT rowid, topic_id, timestamp FROM messages NOT INDEXED'
            ):
                if all(isinstance(value, int) for value in entry):
                    rows.extend(entry)
                else:
                    strange += 1
        except sqlite3.DatabaseError as error:
            if not rows:
                raise
            self._tell(
                f'it is damaged after {plural(len(rows) // 3, "message")} ({_reason(error)})'
            )
        if strange:
            self._tell(f'{plural(strange, "message")} without topic or time are left out')
        places = np.frombuffer(rows, _INTEGERS)
        return places[np.argsort(places['recorded_ns'], kind='stable')]

    def _read_channels(self) -> dict[int, Channel]:
        ids, counts = np.unique(self._places['channel'], return_counts=True)
        held = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        channels = {}
        columns = [row[1] for row in self._database.execute('PRAGMA table_info(topics)')]
        # Bags of 2019 have no such column.
        profiles = 'offered_qos_profiles' if 'offered_qos_profiles' in columns else "''"
        for key, name, kind, form, qos in self._database.execute(
            f'SELECT id, name, type, serialization_format, {profiles} FROM topics ORDER BY id'
        ):
            if isinstance(key, int):
                channels[key] = Channel(
                    key, str(name), str(kind), str(form), held.get(key, 0), says_latched(str(qos))
                )
        for key in sorted(held.keys() - channels.keys()):
            self._tell(
                f'{plural(held[key], "message")} of topic number {key} cannot be read: '
                'its name is lost'
            )
        return channels

    def _tell(self, line: str) -> None:
        self.problems[f'{self.path}: {line}'] = None




def _reason(error: sqlite3.Error) -> str:
    """SQLite's error in one line: it quotes whole schemas."""
    return ' '.join(str(error).split())[:120]
