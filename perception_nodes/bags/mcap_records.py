# SPDX-License-Identifier: Apache-2.0
"""What an MCAP file holds (mcap.dev/spec), found by walking over its records.

The index at the end of an MCAP is optional, and so is each chunk's message index: a reader that
goes by the index leaves out what is not in it. Here all records are walked over, bodies unread, so
what the file holds is known, and the index serves to check it and to go on behind damage.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from zlib import crc32

__all__ = ['MAGIC', 'Chunk', 'Contents', 'chunk_messages', 'read_contents', 'read_records']

MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX = 2, 3, 4, 5, 6, 7
_CHUNK_INDEX, _STATISTICS, _DATA_END = 8, 0x0B, 0x0F
_HEAD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<HIQQ')
_CHUNK_HEAD = struct.Struct('<QQQII')
_FOOTER_BODY = struct.Struct('<QQI')
_FOOTER_BYTES = _HEAD.size + _FOOTER_BODY.size + len(MAGIC)
_INDEX_ENTRY_BYTES = 16
# A schema or a channel is a text that people write, an index two numbers a chunk.
_MOST_TEXT_BYTES = 64 << 20


@dataclass
class Chunk:
    """A chunk, and where its packed data lies in the file.

    Attributes
    ----------
    counts : messages by channel, by the message index behind the chunk; None without one.
    """

    offset: int
    size: int
    start_ns: int
    unpacked_size: int
    compression: str
    crc: int
    counts: dict[int, int] | None = None


@dataclass
class Contents:
    """What was found in a file, or in a chunk.

    Attributes
    ----------
    types : name of the type by schema. channels : (topic, encoding, schema, QoS profiles) by
        channel.
    loose : of each message that lies in no chunk its time of recording, channel, and offset and
        size of its data; four numbers a message, for there may be millions.
    declared : messages by channel, from the statistics; None without statistics.
    indexed : where chunks start, by the index at the end.
    damage : one line for each thing that is wrong.
    """

    types: dict[int, str] = field(default_factory=dict)
    channels: dict[int, tuple[str, str, int, str]] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    loose: 'array[int]' = field(default_factory=lambda: array('Q'))
    declared: dict[int, int] | None = None
    indexed: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    def describe(self, code: int, body: bytes) -> None:
        """Store a schema, channel, statistics or chunk index record.

        Raises
        ------
        ValueError, struct.error
            If the record is none.
        """
        if code == _SCHEMA:
            self._describe(self.types, 'type', _u16(body, 0), _string(body, 2)[0])
        elif code == _CHANNEL:
            topic, place = _string(body, 4)
            encoding, place = _string(body, place)
            channel = topic, encoding, _u16(body, 2), _qos(body, place + 4)
            self._describe(self.channels, 'channel', _u16(body, 0), channel)
        elif code == _CHUNK_INDEX:
            self.indexed.append(int(struct.unpack_from('<Q', body, 16)[0]))
        elif code == _STATISTICS:
            (size,) = struct.unpack_from('<I', body, 42)
            self.declared = dict(struct.iter_unpack('<HQ', body[46:46 + size]))

    def _describe(self, known: dict[int, Any], what: str, key: int, value: Any) -> None:
        """Keep a description; descriptions are repeated, and must agree."""
        if known.setdefault(key, value) != value:
            self.damage.append(f'{what} {key} is described in two ways: {known[key]} and {value}')


def read_contents(file: BinaryIO, size: int) -> Contents:
    """Scan a file of ``size`` bytes that starts with MAGIC."""
    contents = Contents()
    end = _read_summary(file, size, contents)
    position, broken = len(MAGIC), None
    while position < end:
        try:
            code, position = _read_record(file, position, end, contents)
        except (ValueError, struct.error):
            broken = position if broken is None else broken
            position = min((place for place in contents.indexed if place > position), default=end)
            continue
        if code in (_DATA_END, _FOOTER):
            break
    else:
        broken = position if broken is None else broken
    if broken is not None:
        contents.damage.append(
            f'its records break off at byte {broken} of {size} (a cut or damaged file, or an '
            'interrupted recording): what is whole is read'
        )
    return contents


def read_records(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Walk over the records of an unpacked chunk: code and body.

    Raises
    ------
    ValueError
        If a record leaves the chunk.
    """
    view, position = memoryview(data), 0
    while position < len(view):
        if position + _HEAD.size > len(view):
            raise ValueError('a record of the chunk is cut off')
        code, length = _HEAD.unpack_from(view, position)
        position += _HEAD.size
        if length > len(view) - position:
            raise ValueError('a record leaves its chunk')
        yield code, view[position:position + length]
        position += length


def chunk_messages(data: bytes, contents: Contents) -> Iterator[tuple[int, int, memoryview]]:
    """Return the messages of an unpacked chunk: channel, time of recording, data.

    Its schemas and channels are described to ``contents`` on the way; errors as read_records.
    """
    for code, body in read_records(data):
        if code == _MESSAGE:
            if len(body) < _MESSAGE_HEAD.size:
                raise ValueError('a message is shorter than its head')
            channel, _, recorded_ns, _ = _MESSAGE_HEAD.unpack_from(body)
            yield channel, recorded_ns, body[_MESSAGE_HEAD.size:]
        elif code in (_SCHEMA, _CHANNEL):
            try:
                contents.describe(code, bytes(body))
            except struct.error as error:
                raise ValueError(str(error)) from None


def _read_record(
    file: BinaryIO, position: int, end: int, contents: Contents
) -> tuple[int, int]:
    """Read what is needed of one record; return its code and where the next one starts."""
    file.seek(position)
    code, length = _HEAD.unpack(file.read(_HEAD.size))
    body = position + _HEAD.size
    if code == 0 or length > end - body:
        raise ValueError('no record')
    if code == _MESSAGE:
        channel, _, recorded_ns, _ = _MESSAGE_HEAD.unpack(file.read(_MESSAGE_HEAD.size))
        place = body + _MESSAGE_HEAD.size
        if place > body + length:
            raise ValueError('a message is shorter than its head')
        contents.loose.extend((recorded_ns, channel, place, body + length - place))
    elif code == _CHUNK:
        contents.chunks.append(_chunk(file, body, length))
    elif code == _MESSAGE_INDEX and contents.chunks:
        channel, entries = struct.unpack('<HI', file.read(6))
        chunk = contents.chunks[-1]
        chunk.counts = chunk.counts or {}
        chunk.counts[channel] = entries // _INDEX_ENTRY_BYTES
    elif code in (_SCHEMA, _CHANNEL) and length <= _MOST_TEXT_BYTES:
        contents.describe(code, file.read(length))
    return code, body + length


def _chunk(file: BinaryIO, body: int, length: int) -> Chunk:
    start_ns, _, unpacked_size, crc, name_size = _CHUNK_HEAD.unpack(file.read(_CHUNK_HEAD.size))
    if name_size > 64:
        raise ValueError('no chunk')
    name = file.read(name_size).decode()
    (size,) = struct.unpack('<Q', file.read(8))
    offset = body + _CHUNK_HEAD.size + name_size + 8
    if offset + size > body + length:
        raise ValueError('the data of a chunk leaves it')
    return Chunk(offset, size, start_ns, unpacked_size, name, crc)


def _read_summary(file: BinaryIO, size: int, contents: Contents) -> int:
    """Read the index at the end, if there is one; return where the data ends."""
    if size < len(MAGIC) + _FOOTER_BYTES:
        return size
    file.seek(size - _FOOTER_BYTES)
    footer = file.read(_FOOTER_BYTES)
    if not footer.endswith(MAGIC) or _HEAD.unpack_from(footer) != (_FOOTER, _FOOTER_BODY.size):
        return size
    start, _, crc = _FOOTER_BODY.unpack_from(footer, _HEAD.size)
    if start == 0:
        return size
    length = size - _FOOTER_BYTES - start
    if not len(MAGIC) <= start or not 0 <= length <= _MOST_TEXT_BYTES:
        contents.damage.append('the index at its end is not at the declared place')
        return size
    file.seek(start)
    summary = file.read(length)
    if crc and crc32(summary + footer[:_HEAD.size + 16]) != crc:
        contents.damage.append('the index at its end is damaged, and not used')
        return size
    try:
        for code, body in read_records(summary):
            if code in (_SCHEMA, _CHANNEL, _CHUNK_INDEX, _STATISTICS):
                contents.describe(code, bytes(body))
    except (ValueError, struct.error):
        contents.damage.append('the index at its end is damaged')
    return int(start)


def _qos(body: bytes, place: int) -> str:
    """Text of the QoS profiles in a channel's metadata, pairs of texts; '' without."""
    while place < len(body):
        key, place = _string(body, place)
        value, place = _string(body, place)
        if key == 'offered_qos_profiles':
            return value
    return ''


def _u16(body: bytes, place: int) -> int:
    return int(struct.unpack_from('<H', body, place)[0])


def _string(body: bytes, place: int) -> tuple[str, int]:
    """Return a text and where it ends."""
    (size,) = struct.unpack_from('<I', body, place)
    end = place + 4 + size
    if end > len(body):
        raise ValueError('a text leaves its record')
    return body[place + 4:end].decode(), end
