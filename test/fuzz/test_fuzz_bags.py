# SPDX-License-Identifier: Apache-2.0
"""Recordings that were damaged: the same frames, or a word."""

import json
import random
import sqlite3
from pathlib import Path
from zlib import crc32

import pytest
import recordings
import yaml
from fuzzing import damaged_bytes, damaged_value, fuzz, require_none
from rosbags.rosbag2 import StoragePlugin

from perception_nodes.bags.factory import typestore
from perception_nodes.bags.limits import zstd
from perception_nodes.bags.reader import open_bag
from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
NUMBERS = (0, 1, 2, 7, 255, 65535, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def same_or_told(path: Path, whole: object) -> None:
    """The oracle: what comes out is what the whole recording gives, or something is said."""
    found, told = recordings.frames_of(path)
    assert found == whole or told, f'{len(found)} frames, other ones, and nothing is said'


@pytest.mark.parametrize('packed', [True, False])
def test_mcap_with_checksums(tmp_path: Path, packed: bool) -> None:
    file = recordings.write(tmp_path / 'a', MCAP, packed=packed)
    unpack = zstd.decompress if packed else bytes
    good = recordings.with_checksums(file.read_bytes(), unpack)
    file.write_bytes(good)
    whole, told = recordings.frames_of(file)
    assert (len(whole), told) == (recordings.FRAMES, ())

    def target(rng: random.Random) -> None:
        file.write_bytes(damaged_bytes(rng, good) if rng.random() < 0.4
                         else damaged_records(rng, good))
        same_or_told(file, whole)

    require_none(fuzz(f'mcap {"zstd" if packed else "plain"}', target, 60))


def test_mcap_without_checksums(tmp_path: Path) -> None:
    """Pixels cannot be checked here; frames cannot be lost in silence all the same."""
    file = recordings.write(tmp_path / 'a', MCAP)
    good = file.read_bytes()

    def target(rng: random.Random) -> None:
        file.write_bytes(damaged_records(rng, good))
        found, told = recordings.frames_of(file)
        assert len(found) == recordings.FRAMES or told

    require_none(fuzz('mcap unchecked', target, 60))


def test_sqlite_and_metadata(tmp_path: Path) -> None:
    file = recordings.write(tmp_path / 'a', SQLITE)
    good = file.read_bytes()

    def target(rng: random.Random) -> None:
        if rng.random() < 0.4:
            file.write_bytes(damaged_bytes(rng, good))
        else:
            file.write_bytes(good)
            damage_rows(rng, file)
        found, told = recordings.frames_of(file.parent)
        assert len(found) == recordings.FRAMES or told

    require_none(fuzz('sqlite', target, 40))


def test_metadata(tmp_path: Path) -> None:
    file = recordings.write(tmp_path / 'a', MCAP)
    whole, _ = recordings.frames_of(file)
    metadata = file.with_name('metadata.yaml')
    text = metadata.read_text()
    content = yaml.safe_load(text)

    def target(rng: random.Random) -> None:
        if rng.random() < 0.4:
            metadata.write_bytes(damaged_bytes(rng, text.encode()))
        else:
            damaged = json.dumps(damaged_value(rng, content))
            metadata.write_bytes(damaged.encode('utf8', 'surrogatepass'))
        same_or_told(file.parent, whole)

    require_none(fuzz('metadata', target, 60))


def test_messages(tmp_path: Path) -> None:
    """Bytes of single messages: those that are read are whole, the others are told."""
    store, made = typestore(), recordings.entries()
    folder = tmp_path / 'a'
    file = recordings.write(folder, SQLITE)
    good = file.read_bytes()

    def target(rng: random.Random) -> None:
        file.write_bytes(good)
        with sqlite3.connect(file) as database:
            for _ in range(rng.randint(1, 4)):
                row = rng.randrange(len(made))
                message = made[row][2]
                data = bytes(store.serialize_cdr(message, message.__msgtype__))
                # The head of a message, where its sizes are.
                head = damaged_bytes(rng, data[:200])
                database.execute('UPDATE messages SET data = ? WHERE id = ?',
                                 (head + data[200:], row + 1))
        database.close()
        recordings.frames_of(file)

    require_none(fuzz('messages', target, 60))


def test_whole_replays(tmp_path: Path) -> None:
    """Through the pipelines into a folder: whole results, or one line and no folder."""
    file = recordings.write(tmp_path / 'a', MCAP)
    good, out = file.read_bytes(), tmp_path / 'out'
    settings = ReplaySettings(tasks=('visual_odometry',), sample_frames=1, overwrite=True)

    def target(rng: random.Random) -> None:
        file.write_bytes(damaged_records(rng, good))
        result = replay_to_folder(file, out, settings)
        metrics = json.loads((out / 'metrics.json').read_text())
        assert metrics['frames'] == recordings.FRAMES or result.notes
        assert (out / 'report.html').is_file() or 'could not be drawn' in str(result.notes)

    figures = fuzz('replay', target, 6)
    require_none(figures)
    assert figures.accepted
    assert not [path for path in tmp_path.iterdir() if path.name.startswith('.')]


def test_unpacking_is_bounded(tmp_path: Path) -> None:
    """Sizes that are declared, and streams that unpack to more than they say."""
    file = tmp_path / 'a.mcap.zstd'
    good = zstd.compress(recordings.write(tmp_path / 'a', MCAP).read_bytes())

    def target(rng: random.Random) -> None:
        file.write_bytes(damaged_bytes(rng, good))
        with open_bag(file) as bag:
            crc32(b''.join(raw.data for raw in bag.raw_messages()))

    require_none(fuzz('mcap in zstd', target, 40))


def damaged_records(rng: random.Random, content: bytes) -> bytes:
    """Drop, repeat, swap, renumber and cut records; set numbers in their heads."""
    found = recordings.records(content)
    parts = [content[body - 9:body + length] for _, body, length in found]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(parts))
        part, kind = bytearray(parts[at]), rng.randrange(7)
        if kind == 0:
            parts[at] = b''
        elif kind == 1:
            parts[at] = bytes(part) * rng.choice((2, 3, 50))
        elif kind == 2:
            other = rng.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif kind == 3 and part:
            part[0] = rng.randrange(256)
        elif kind == 4 and len(part) > 17:
            place, size = rng.randrange(1, min(len(part) - 8, 60)), rng.choice((2, 4, 8))
            number = rng.choice(NUMBERS) % (1 << (8 * size))
            part[place:place + size] = number.to_bytes(size, 'little')
        elif kind == 5 and part:
            parts[at + 1:] = []
            part = part[:rng.randrange(len(part))]
        elif part:
            part = bytearray(damaged_bytes(rng, bytes(part)))
        if kind in (3, 4, 5, 6):
            parts[at] = bytes(part)
    made = content[:8] + b''.join(parts)
    return made if rng.random() < 0.2 else made + content[-8:]


def damage_rows(rng: random.Random, file: Path) -> None:
    """Put what does not belong there into rows and tables."""
    values = (None, '', 'x', 0, -1, 2**40, 1.5, b'', b'\0' * 100)
    statements = (
        'UPDATE topics SET name = ? WHERE id = abs(random()) % 5 + 1',
        'UPDATE topics SET type = ? WHERE id = abs(random()) % 5 + 1',
        'UPDATE topics SET serialization_format = ? WHERE id = abs(random()) % 5 + 1',
        'UPDATE messages SET topic_id = ? WHERE id % 3 = 0',
        'UPDATE messages SET timestamp = ? WHERE id % 3 = 0',
        'UPDATE messages SET data = ? WHERE id % 3 = 0',
        'DELETE FROM messages WHERE id % 3 = 0 AND ? IS NULL',
        'DELETE FROM topics WHERE id = 2 AND ? IS NULL',
    )
    database = sqlite3.connect(file)
    for _ in range(rng.randint(1, 3)):
        try:
            database.execute(rng.choice(statements), (rng.choice(values),))
            if rng.random() < 0.1:
                database.execute(rng.choice((
                    'DROP TABLE topics', 'DROP TABLE messages', 'DROP INDEX timestamp_idx',
                    'ALTER TABLE messages RENAME COLUMN data TO bytes',
                )))
        except sqlite3.Error:
            continue
    database.commit()
    database.close()
