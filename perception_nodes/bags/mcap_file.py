# SPDX-License-Identifier: Apache-2.0
"""The messages of an MCAP file in the order of their recording, with or without an index.

Own code beside rosbags' and the ``mcap`` package: the first leaves out chunks without a message
index and files that another tool wrote, the second unpacks whatever size a chunk claims.
"""

import heapq
from collections import Counter, deque
from collections.abc import Collection, Iterator
from pathlib import Path
from zlib import crc32

import numpy as np

from perception_nodes.bags.limits import DEFAULT_LIMITS, BagLimits, too_large, unpacked
from perception_nodes.bags.mcap_records import (
    MAGIC,
    Chunk,
    chunk_messages,
    read_contents,
)
from perception_nodes.bags.storage_file import Channel, Record, plural, says_latched
from perception_nodes.types import Array, BagError

__all__ = ['McapFile']

# What a message costs beside its data while it waits.
_OVERHEAD_BYTES = 200


class McapFile:
    """An open MCAP (a ``storage_file.StorageFile``).

    Raises
    ------
    BagError
        If it is no MCAP, or a part is larger than the limits allow.
    OSError
        If the file cannot be read.
    """

    def __init__(self, path: Path, limits: BagLimits = DEFAULT_LIMITS) -> None:
        self.path, self._limits = path, limits
        self.problems: dict[str, None] = {}
        self._file = path.open('rb')
        try:
            magic = self._file.read(len(MAGIC))
            if magic != MAGIC:
                what = 'empty' if not magic else 'not an MCAP, or its beginning is damaged'
                raise BagError(f'cannot read {path}: the file is {what}')
            self._contents = read_contents(self._file, path.stat().st_size)
            self._counts = self._count()
        except BaseException:
            self._file.close()
            raise
        self.channels = self._describe()
        self._report(*self._contents.damage)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def messages(self, channels: Collection[int]) -> Iterator[Record]:
        """Yield the messages of some channels, oldest first.

        A damaged chunk is skipped. That, and every difference between what the file declares and
        what was read, is reported in ``problems`` at the end.

        Raises
        ------
        BagError
            If a part is larger than the limits allow.
        """
        wanted = set(channels)
        given: Counter[int] = Counter()
        for record in heapq.merge(
            self._loose(wanted), self._chunked(wanted), key=lambda record: record.recorded_ns
        ):
            given[record.channel] += 1
            yield record
        self._report(*self._contents.damage)
        for channel in sorted(wanted):
            expected = self.channels[channel].count
            if given[channel] != expected:
                self._report(
                    f'it declares {plural(expected, "message")} of '
                    f'{self.channels[channel].topic}, but {given[channel]} could be read'
                )

    def _loose(self, wanted: set[int]) -> Iterator[Record]:
        places = self._loose_places()
        places = places[np.isin(places[:, 1], list(wanted))]
        for place in places[np.argsort(places[:, 0], kind='stable')]:
            recorded_ns, channel, offset, size = place.tolist()
            if size > self._limits.message_bytes:
                raise BagError(
                    f'{self.path}: a message of {self.channels[channel].topic} has '
                    f'{too_large(self._limits.message_bytes)}'
                )
            self._file.seek(offset)
            yield Record(channel, recorded_ns, self._file.read(size))

    def _loose_places(self) -> Array:
        """Time of recording, channel, offset and size [N, 4] of the messages in no chunk."""
        return np.frombuffer(self._contents.loose, np.uint64).reshape(-1, 4)

    def _chunked(self, wanted: set[int]) -> Iterator[Record]:
        """Merge the chunks: yield what was recorded before the next one starts."""
        waiting: list[tuple[int, int, int, int, bytes]] = []
        held_bytes = 0
        chunks = sorted(
            (chunk.start_ns, number, chunk) for number, chunk in enumerate(self._contents.chunks)
            if chunk.counts is None or not wanted.isdisjoint(chunk.counts)
        )
        for start_ns, number, chunk in chunks:
            while waiting and waiting[0][0] < start_ns:
                recorded_ns, _, _, channel, data = heapq.heappop(waiting)
                held_bytes -= len(data) + _OVERHEAD_BYTES
                yield Record(channel, recorded_ns, data)
            for place, (channel, recorded_ns, view) in enumerate(self._unpack(chunk)):
                if channel not in wanted:
                    continue
                if recorded_ns < start_ns:
                    self._report(
                        f'the chunk at byte {chunk.offset} holds messages from before its '
                        'declared start: they come out of order'
                    )
                heapq.heappush(waiting, (recorded_ns, number, place, channel, bytes(view)))
                held_bytes += len(view) + _OVERHEAD_BYTES
                if held_bytes > self._limits.overlapping_bytes:
                    raise BagError(
                        f'{self.path}: chunks that overlap in time hold '
                        f'{too_large(self._limits.overlapping_bytes)}'
                    )
        while waiting:
            recorded_ns, _, _, channel, data = heapq.heappop(waiting)
            yield Record(channel, recorded_ns, data)

    def _unpack(self, chunk: Chunk) -> Iterator[tuple[int, int, memoryview]]:
        """Yield a chunk's messages in file order: channel, time of recording, data."""
        limit = self._limits.chunk_bytes
        if max(chunk.unpacked_size, chunk.size) > limit:
            raise BagError(
                f'{self.path}: a chunk declares an unpacked size of '
                f'{chunk.unpacked_size / 1e6:,.0f} MB; at most {limit / 1e6:,.0f} MB are read'
            )
        self._file.seek(chunk.offset)
        packed = self._file.read(chunk.size)
        try:
            data = unpacked(
                packed, chunk.compression, chunk.unpacked_size, 'the chunk',
                too_much=f'more than the {chunk.unpacked_size} bytes that it declares',
            )
            if len(data) != chunk.unpacked_size:
                raise ValueError(f'it unpacks to {len(data)} bytes, not {chunk.unpacked_size}')
            if chunk.crc and crc32(data) != chunk.crc:
                raise ValueError('its checksum differs')
            yield from chunk_messages(data, self._contents)
        except (ValueError, BagError) as error:
            self._report(
                f'the chunk at byte {chunk.offset} is damaged, its messages are left out: {error}'
            )

    def _count(self) -> dict[int, int]:
        """Messages by channel: by the statistics, the chunks' indexes, or by reading them all."""
        contents = self._contents
        if contents.declared is None:
            # Whether a message index is missing is unknown: the chunks are read instead.
            for chunk in contents.chunks:
                chunk.counts = None
        ids, numbers = np.unique(self._loose_places()[:, 1], return_counts=True)
        found: Counter[int] = Counter(dict(zip(ids.tolist(), numbers.tolist(), strict=True)))
        for chunk in contents.chunks:
            found.update(chunk.counts or {})
        unindexed = [chunk for chunk in contents.chunks if chunk.counts is None]
        named = found.keys() | (contents.declared or {}).keys()
        if unindexed and contents.declared is None:
            for chunk in unindexed:
                found.update(channel for channel, _, _ in self._unpack(chunk))
        elif not named <= contents.channels.keys():
            # Channels are described in the chunks as well as at the end.
            for chunk in contents.chunks:
                deque(self._unpack(chunk), maxlen=0)
        declared = contents.declared
        if declared is None:
            return dict(found)
        if not unindexed and any(found[key] != declared.get(key, 0) for key in named):
            # Which of the two is damaged is not known: every chunk is read.
            for chunk in contents.chunks:
                chunk.counts = None
        return {key: max(declared.get(key, 0), found[key]) for key in named}

    def _describe(self) -> dict[int, Channel]:
        contents = self._contents
        channels = {
            key: Channel(key, topic, contents.types.get(schema, ''), encoding,
                         self._counts.get(key, 0), says_latched(profiles))
            for key, (topic, encoding, schema, profiles) in contents.channels.items()
        }
        for key in sorted(self._counts.keys() - channels.keys()):
            if self._counts[key]:
                self._report(
                    f'{plural(self._counts[key], "message")} of channel {key} cannot be read: '
                    'the record that names the topic is lost'
                )
        return channels

    def _report(self, *lines: str) -> None:
        self.problems.update(dict.fromkeys(f'{self.path}: {line}' for line in lines))
