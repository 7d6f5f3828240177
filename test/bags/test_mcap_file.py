# SPDX-License-Identifier: Apache-2.0
"""MCAP files as other tools leave them: without index, without order, damaged, or as a bomb."""

from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest

from perception_nodes.bags.limits import BagLimits, zstd
from perception_nodes.bags.reader import BagReader, open_bag
from perception_nodes.types import BagError

PACKERS = {'': lambda data: data, 'zstd': zstd.compress, 'lz4': lz4.frame.compress}


def _read(path: Path, content: bytes) -> tuple[list[Any], tuple[str, ...]]:
    path.write_bytes(content)
    with open_bag(path) as bag:
        return list(bag.raw_messages()), bag.notes


@pytest.mark.parametrize('compression', PACKERS)
@pytest.mark.parametrize('summary', [True, False])
def test_chunks_without_a_message_index(
    mcap_bytes: Any, stereo: Any, tmp_path: Path, compression: str, summary: bool
) -> None:
    """rosbag2's noMessageIndex, and a file without any index: all messages are there."""
    written = stereo(4)
    made = mcap_bytes(written)
    chunk = made.chunk(packed=PACKERS[compression], compression=compression)
    found, notes = _read(tmp_path / 'a.mcap', made.file(chunk, summary=summary))
    assert [(m.topic, m.recorded_ns) for m in found] == [(t, n) for t, n, _ in written]
    assert notes == ()
    with open_bag(tmp_path / 'a.mcap') as bag:
        assert {summary.count for summary in bag.topics().values()} == {4}


@pytest.mark.parametrize('summary', [True, False])
def test_messages_out_of_order_and_without_chunks(
    mcap_bytes: Any, stereo: Any, tmp_path: Path, summary: bool
) -> None:
    written = stereo(4)
    made = mcap_bytes([*written[6:], *written[:6]])
    content = made.file(b''.join(made.descriptions) + made.loose(), summary=summary)
    found, notes = _read(tmp_path / 'a.mcap', content)
    assert [m.recorded_ns for m in found] == [n for _, n, _ in written]
    assert notes == ()


def test_chunks_that_overlap_in_time(mcap_bytes: Any, stereo: Any, tmp_path: Path) -> None:
    written = stereo(4)
    first, second = mcap_bytes(written[::2]), mcap_bytes(written[1::2])
    content = first.file(first.chunk(), summary=False)
    # The second chunk's channels have numbers of their own.
    second.channels = {}
    found, _ = _read(tmp_path / 'a.mcap', content)
    assert len(found) == 8
    both = mcap_bytes(written)
    messages = both.messages
    chunks = []
    for part in (messages[::2], messages[1::2]):
        both.messages = part
        chunks.append(both.chunk())
    both.messages = messages
    found, notes = _read(tmp_path / 'b.mcap', both.file(b''.join(chunks)))
    assert [m.recorded_ns for m in found] == [n for _, n, _ in written]
    assert notes == ()


@pytest.mark.parametrize('profile', ['', 'ros2', 'x'])
def test_any_profile_is_read(mcap_bytes: Any, stereo: Any, tmp_path: Path, profile: str) -> None:
    made = mcap_bytes(stereo(1), profile)
    assert len(_read(tmp_path / 'a.mcap', made.file(made.chunk()))[0]) == 4


def test_a_json_channel_does_no_harm(mcap_bytes: Any, stereo: Any, tmp_path: Path) -> None:
    made = mcap_bytes(stereo(2))
    made.add('/events', 0, b'{}', 'Event', 'json', 'jsonschema')
    found, notes = _read(tmp_path / 'a.mcap', made.file(made.chunk()))
    assert len(found) == 8
    assert notes == ("left out: /events, serialized as 'json' and not as cdr",)


def test_a_lost_channel_is_told_or_found_again(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    made = mcap_bytes(stereo(2))
    chunk = made.chunk()
    lost = made.descriptions.pop(1)
    found, notes = _read(tmp_path / 'a.mcap', made.file(chunk))
    assert (len(found), notes) == (8, ())
    found, notes = _read(
        tmp_path / 'b.mcap', made.file(b''.join(made.descriptions) + made.loose())
    )
    assert len(found) == 6
    assert '2 messages of channel 1 cannot be read' in notes[0]
    assert lost not in (tmp_path / 'b.mcap').read_bytes()


def test_a_damaged_chunk_costs_its_own_messages(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    made = mcap_bytes(stereo(4))
    messages, chunks = made.messages, []
    for start in (0, 8):
        made.messages = messages[start:start + 8]
        chunks.append(made.chunk(crc=1 if start else None))
    made.messages = messages
    found, notes = _read(tmp_path / 'a.mcap', made.file(b''.join(chunks)))
    assert len(found) == 8
    assert 'is damaged, its messages are left out: its checksum differs' in notes[0]
    assert 'declares 4 messages of /stereo/left/camera_info, but 2 could be read' in notes[1]


def test_records_that_break_off_are_told(mcap_bytes: Any, stereo: Any, tmp_path: Path) -> None:
    """An interrupted recording: the chunks that are whole are read."""
    made = mcap_bytes(stereo(2))
    chunk = made.chunk()
    content = made.file(chunk + chunk, summary=False)
    found, notes = _read(tmp_path / 'a.mcap', content[:len(made.head) + len(chunk) + 100])
    assert len(found) == 8
    assert f'break off at byte {len(made.head) + len(chunk)}' in notes[0]


def test_a_statistic_that_promises_more(mcap_bytes: Any, stereo: Any, tmp_path: Path) -> None:
    made = mcap_bytes(stereo(2))
    chunk = made.chunk()
    made.messages.append(made.messages[0])
    found, notes = _read(tmp_path / 'a.mcap', made.file(chunk))
    assert len(found) == 8
    assert 'declares 3 messages of /stereo/left/camera_info, but 2 could be read' in notes[0]


def test_a_chunk_that_claims_too_much_is_refused_at_once(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    made = mcap_bytes(stereo(1))
    path = tmp_path / 'a.mcap'
    path.write_bytes(made.file(made.chunk(size=4 << 30), summary=False))
    with pytest.raises(BagError, match='declares an unpacked size of 4,295 MB; at most 537 MB'):
        open_bag(path)


@pytest.mark.parametrize('compression', ['zstd', 'lz4'])
def test_a_chunk_that_holds_more_than_it_claims(
    mcap_bytes: Any, stereo: Any, tmp_path: Path, compression: str
) -> None:
    made = mcap_bytes(stereo(1))
    bomb = PACKERS[compression](bytes(50_000_000))
    chunk = made.chunk(packed=lambda _: bomb, compression=compression, size=1000)
    found, notes = _read(tmp_path / 'a.mcap', made.file(chunk))
    assert found == []
    assert 'the chunk unpacks to more than the 1000 bytes that it declares' in notes[0]


def test_chunks_that_all_overlap_are_bounded(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    made = mcap_bytes(stereo(4))
    path = tmp_path / 'a.mcap'
    path.write_bytes(made.file(made.chunk() * 20))
    with BagReader(path, BagLimits(overlapping_bytes=1_000_000)) as bag, \
            pytest.raises(BagError, match='chunks that overlap in time hold more than 1 MB'):
        list(bag.raw_messages())


def test_a_message_compressed_beyond_the_limit(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    topic, recorded_ns, message = stereo(1)[1]
    made = mcap_bytes()
    made.add(topic, recorded_ns, zstd.compress(bytes(10_000_000)), message.__msgtype__)
    path = tmp_path / 'a.mcap'
    path.write_bytes(made.file(made.chunk()))
    with BagReader(path, BagLimits(message_bytes=1_000_000)) as bag:
        assert list(bag.messages()) == []
        assert 'a message unpacks to more than 1 MB' in bag.notes[0]


def test_what_is_no_mcap(tmp_path: Path) -> None:
    for content, reason in ((b'', 'the file is empty'), (b'hello', 'not an MCAP')):
        (tmp_path / 'a.mcap').write_bytes(content)
        with pytest.raises(BagError, match=reason):
            open_bag(tmp_path / 'a.mcap')


def test_the_pixels_are_those_that_were_written(
    mcap_bytes: Any, stereo: Any, tmp_path: Path
) -> None:
    written = stereo(1)
    made = mcap_bytes(written)
    (tmp_path / 'a.mcap').write_bytes(made.file(made.chunk()))
    with open_bag(tmp_path / 'a.mcap') as bag:
        message = bag.first('/stereo/left/image_rect').message
    np.testing.assert_array_equal(message.data, written[1][2].data)
