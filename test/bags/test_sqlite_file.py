# SPDX-License-Identifier: Apache-2.0
"""Databases as recorders leave them: with a write-ahead log, odd names, foreign types, damage."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import StoragePlugin

from perception_nodes.bags.limits import BagLimits
from perception_nodes.bags.reader import BagReader, open_bag
from perception_nodes.types import BagError


@pytest.fixture
def database(write_bag: Any, stereo: Any) -> Path:
    """Four frames of a pair, 16 messages."""
    (file,) = write_bag(stereo(4), storage=StoragePlugin.SQLITE3).glob('*.db3')
    return Path(file)


def _count(path: Path) -> int:
    with open_bag(path) as bag:
        return len(list(bag.messages()))


def test_the_write_ahead_log_is_read(database: Path, tmp_path: Path) -> None:
    """The recorder was killed: its newest messages are in the log, and it stays as it is."""
    rows = sqlite3.connect(database).execute(
        'SELECT topic_id, timestamp, data FROM messages WHERE id > 4'
    ).fetchall()
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute('DELETE FROM messages WHERE id > 4')
    writer.execute('PRAGMA journal_mode=WAL')
    writer.execute('PRAGMA wal_autocheckpoint=0')
    writer.executemany('INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)', rows)
    dead = tmp_path / 'dead'
    dead.mkdir()
    for name in (database.name, f'{database.name}-wal'):
        shutil.copy(database.with_name(name), dead)
    writer.close()
    before = {path.name: path.read_bytes() for path in dead.iterdir()}
    with open_bag(dead) as bag:
        assert len(list(bag.messages())) == 16
        assert f'messages of {database.name}-wal are read too' in bag.notes[0]
    assert {path.name: path.read_bytes() for path in dead.iterdir()} == before


def test_a_journal_that_was_not_played_back_is_told(database: Path) -> None:
    database.with_name(f'{database.name}-journal').write_bytes(b'x' * 512)
    with open_bag(database) as bag:
        assert len(list(bag.messages())) == 16
        assert 'the recording was not closed, and' in bag.notes[0]


def test_nothing_is_left_beside_a_database(database: Path) -> None:
    writer = sqlite3.connect(database)
    writer.execute('PRAGMA journal_mode=WAL')
    writer.close()
    before = sorted(database.parent.iterdir())
    assert _count(database) == 16
    assert sorted(database.parent.iterdir()) == before


@pytest.mark.parametrize('name', ['run%31', 'a#b', 'what?', 'x y', 'ü'])
def test_names_are_taken_as_they_are(
    write_bag: Any, stereo: Any, database: Path, name: str
) -> None:
    """In a URI 'run%31' is 'run1': another recording."""
    other = database.parent.with_name('run1')
    (small,) = write_bag(stereo(1), 'small', storage=StoragePlugin.SQLITE3).glob('*.db3')
    other.mkdir()
    shutil.copy(small, other / database.name)
    folder = database.parent.with_name(name)
    folder.mkdir()
    shutil.copy(database, folder)
    assert _count(folder) == 16


def test_a_type_without_a_definition_does_no_harm(write_bag: Any, stereo: Any) -> None:
    """Feedback of an action: Iron's recorder leaves its definition empty."""
    (file,) = write_bag(stereo(2), storage=StoragePlugin.SQLITE3).glob('*.db3')
    kind = 'nav2_msgs/action/NavigateToPose_FeedbackMessage'
    with sqlite3.connect(file) as connection:
        connection.execute(
            'INSERT INTO topics (name, type, serialization_format, offered_qos_profiles, '
            "type_description_hash) VALUES ('/navigate/_action/feedback', ?, 'cdr', '[]', '')",
            (kind,),
        )
        connection.execute(
            'INSERT INTO message_definitions (topic_type, encoding, encoded_message_definition, '
            "type_description_hash) VALUES (?, '', '', '')", (kind,),
        )
    with open_bag(file) as bag:
        assert len(list(bag.messages())) == 8
        assert bag.topics()['/navigate/_action/feedback'].count == 0


def test_a_damaged_index_hides_nothing(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'timestamp_idx'"
        ).fetchone()
        (size,) = connection.execute('PRAGMA page_size').fetchone()
    content = bytearray(database.read_bytes())
    # The number of the index's entries: now it has one.
    start = (page - 1) * size
    content[start + 3:start + 5] = b'\x00\x01'
    database.write_bytes(bytes(content))
    assert _count(database) == 16


def test_messages_without_a_topic_are_told(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM topics WHERE name LIKE '%left/image_rect'")
    with open_bag(database) as bag:
        assert len(list(bag.messages())) == 12
        assert '4 messages of topic number 2 cannot be read: its name is lost' in bag.notes[0]


def test_rows_that_are_no_messages(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE messages SET timestamp = 'noon' WHERE id = 3")
        connection.execute("UPDATE messages SET data = 'text' WHERE id = 4")
    with open_bag(database) as bag:
        assert len(list(bag.messages())) == 14
        assert '1 message without topic or time are left out' in bag.notes[0] + bag.notes[-1]
        assert any('1 message of /stereo/right/image_rect cannot' in note for note in bag.notes)


def test_a_message_beyond_the_limit(database: Path) -> None:
    with BagReader(database, BagLimits(message_bytes=1000)) as bag, \
            pytest.raises(BagError, match='left/image_rect has more than 0 MB'):
        list(bag.messages())


def test_a_schema_that_is_damaged_is_told_in_one_line(database: Path) -> None:
    content = database.read_bytes()
    assert content.count(b'CREATE TABLE message_definitions(') == 1
    database.write_bytes(content.replace(b'message_definitions(', b'message_definitions`', 1))
    with pytest.raises(BagError, match='malformed database schema') as caught:
        open_bag(database)
    assert '\n' not in str(caught.value)


def test_what_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / 'a.db3'
    file.write_bytes(b'no database')
    with pytest.raises(BagError, match='not a database'):
        open_bag(file)
    file.unlink()
    sqlite3.connect(file).execute('CREATE TABLE cats (name)').connection.close()
    with pytest.raises(BagError, match='no such table: messages'):
        open_bag(file)
