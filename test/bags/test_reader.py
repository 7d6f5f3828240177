# SPDX-License-Identifier: Apache-2.0
"""Bags in every form that rosbag2 writes, and damaged in every way that disks do it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.limits import BagLimits, zstd
from perception_nodes.bags.reader import BagReader, full_type, open_bag
from perception_nodes.bags.storage_file import says_latched
from perception_nodes.messages.image import decode_image
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.types import PerceptionError

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
FORMS = [
    (MCAP, CompressionMode.NONE), (MCAP, CompressionMode.FILE), (MCAP, CompressionMode.MESSAGE),
    (MCAP, CompressionMode.STORAGE), (SQLITE, CompressionMode.NONE),
    (SQLITE, CompressionMode.FILE), (SQLITE, CompressionMode.MESSAGE),
]
SUFFIX = {MCAP: '.mcap', SQLITE: '.db3'}


def _same(found: Any, written: list[Any]) -> None:
    """Compare read messages with what was written: order, times, pixels."""
    assert [(m.topic, m.recorded_ns) for m in found] == [(t, n) for t, n, _ in written]
    for entry, (_, _, message) in zip(found, written, strict=True):
        assert entry.type == message.__msgtype__
        if entry.type.endswith('/Image'):
            np.testing.assert_array_equal(entry.message.data, message.data)
            assert entry.message.encoding == message.encoding
        assert stamp_ns(entry.message.header.stamp) == stamp_ns(message.header.stamp)


@pytest.mark.parametrize(('storage', 'compression'), FORMS)
def test_every_form_reads_the_same(
    write_bag: Any, stereo: Any, storage: StoragePlugin, compression: CompressionMode
) -> None:
    written = stereo(3)
    with open_bag(write_bag(written, storage=storage, compression=compression)) as bag:
        _same(list(bag.messages()), written)
        assert bag.topics()['/stereo/left/image_rect'].count == 3
        only = [t for t in written if t[0] == '/stereo/right/camera_info']
        _same(list(bag.messages(['/stereo/right/camera_info'])), only)


@pytest.mark.parametrize(('storage', 'compression'), FORMS)
def test_a_bare_file_needs_no_metadata(
    write_bag: Any, stereo: Any, storage: StoragePlugin, compression: CompressionMode
) -> None:
    written = stereo(2)
    folder = write_bag(written, storage=storage, compression=compression)
    (file,) = (path for path in folder.iterdir() if path.name != 'metadata.yaml')
    (folder / 'metadata.yaml').unlink()
    for path in (file, folder):
        with open_bag(path) as bag:
            _same(list(bag.messages()), written)


@pytest.mark.parametrize('storage', [MCAP, SQLITE])
@pytest.mark.parametrize('compression', [CompressionMode.NONE, CompressionMode.FILE])
def test_splits_follow_each_other(
    write_bag: Any, stereo: Any, tmp_path: Path, storage: StoragePlugin,
    compression: CompressionMode,
) -> None:
    """bag_2 comes before bag_10, by the metadata and without it."""
    written = stereo(4)
    folder = tmp_path / 'split'
    folder.mkdir()
    names = []
    for number, part in ((2, written[:8]), (10, written[8:])):
        single = write_bag(part, f'part_{number}', storage=storage, compression=compression)
        (file,) = (path for path in single.iterdir() if path.name != 'metadata.yaml')
        shutil.copy(file, folder)
        names.append(file.name)
    with open_bag(folder) as bag:
        _same(list(bag.messages()), written)
    content = yaml.safe_load((tmp_path / 'part_2' / 'metadata.yaml').read_text())
    content['rosbag2_bagfile_information']['relative_file_paths'] = names
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(content))
    with open_bag(folder) as bag:
        _same(list(bag.messages()), written)
        assert bag.topics()['/stereo/left/image_rect'].count == 4
    (folder / names[1]).unlink()
    with pytest.raises(PerceptionError, match=f'1 of its 2 files are missing \\({names[1]}\\)'):
        open_bag(folder)


def test_type_names_of_old(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(1), storage=SQLITE)
    (file,) = folder.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute("UPDATE topics SET type = replace(type, '/msg/', '/')")
    with open_bag(file) as bag:
        assert {summary.type for summary in bag.topics().values()} == {
            'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
        }
        assert len(list(bag.messages())) == 4
    assert full_type('a/msg/B') == 'a/msg/B'


@pytest.mark.parametrize('storage', [MCAP, SQLITE])
def test_latched_topics(write_bag: Any, stereo: Any, storage: StoragePlugin) -> None:
    topic = '/stereo/left/camera_info'
    with open_bag(write_bag(stereo(1), storage=storage, latched=[topic])) as bag:
        assert [name for name, summary in bag.topics().items() if summary.latched] == [topic]
    assert says_latched('- history: 1\n  durability: 1\n  deadline: 0')
    assert not says_latched('- history: 1\n  durability: 2\n  deadline: 1')


def test_raw_messages_are_the_bytes(write_bag: Any, stereo: Any) -> None:
    with open_bag(write_bag(stereo(1))) as bag:
        raw = list(bag.raw_messages(['/stereo/left/image_rect']))
        assert [(r.topic, r.type) for r in raw] == [
            ('/stereo/left/image_rect', 'sensor_msgs/msg/Image')
        ]
        assert bytes(raw[0].data[:4]) == b'\x00\x01\x00\x00'


def test_first_of_a_topic(write_bag: Any, stereo: Any) -> None:
    with open_bag(write_bag(stereo(2))) as bag:
        assert bag.first('/stereo/left/image_rect').topic == '/stereo/left/image_rect'
        assert bag.first('/none') is None


@pytest.mark.parametrize('storage', [MCAP, SQLITE])
@pytest.mark.parametrize('part', [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_was_cut_off(
    write_bag: Any, stereo: Any, storage: StoragePlugin, part: float
) -> None:
    """What is left is read and the cut is told, or the file is refused; never silence."""
    folder = write_bag(stereo(3), storage=storage)
    (file,) = folder.glob(f'*{SUFFIX[storage]}')
    content = file.read_bytes()
    file.write_bytes(content[:int(part * len(content))])
    try:
        with open_bag(folder) as bag:
            assert len(list(bag.messages())) == 12 or bag.notes
            assert not any('\n' in note for note in bag.notes)
    except PerceptionError as error:
        assert any(word in str(error) for word in ('damaged', 'cannot read'))
        assert '\n' not in str(error)


def test_noise_anywhere_is_told(mcap_bytes: Any, stereo: Any, tmp_path: Path) -> None:
    """Bytes overwritten at random in a file with checksums: the same messages, or a word."""
    file, made = tmp_path / 'a.mcap', mcap_bytes(stereo(2))
    file.write_bytes(made.file(made.chunk(packed=zstd.compress, compression='zstd')))
    content, rng, told = file.read_bytes(), np.random.default_rng(0), 0
    with open_bag(file) as bag:
        whole = list(bag.raw_messages())
    for _ in range(60):
        noisy = np.frombuffer(content, np.uint8).copy()
        place = int(rng.integers(0, len(noisy) - 16))
        noisy[place:place + 16] = rng.integers(0, 256, 16)
        file.write_bytes(noisy.tobytes())
        try:
            with open_bag(file) as bag:
                for entry in bag.messages():
                    if entry.type.endswith('/Image'):
                        decode_image(entry.message)
                told += bool(bag.notes)
                assert bag.notes or list(bag.raw_messages()) == whole
        except PerceptionError:
            told += 1
    assert told > 40


def test_a_message_that_is_none_is_left_out(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(2), storage=SQLITE)
    (file,) = folder.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute('UPDATE messages SET data = substr(data, 1, 60) WHERE id < 5')
    with open_bag(folder) as bag:
        assert len(list(bag.messages())) == 4
        list(bag.messages())
        assert len(bag.notes) == 4
        assert all('1 message of ' in note and 'not a valid sensor_msgs' in note
                   for note in bag.notes)


def test_an_unknown_type_hurts_only_who_asks_for_it(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(1), storage=SQLITE)
    (file,) = folder.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute(
            "UPDATE topics SET type = 'my_msgs/msg/Own' WHERE name LIKE '%right/camera_info'"
        )
    with open_bag(file) as bag:
        assert len(list(bag.messages(['/stereo/left/image_rect']))) == 1
        with pytest.raises(PerceptionError, match='unknown type my_msgs/msg/Own'):
            list(bag.messages(['/stereo/right/camera_info']))


def test_ros1_serialization_is_refused(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(1), storage=SQLITE)
    (file,) = folder.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute("UPDATE topics SET serialization_format = 'rosmsg_v2'")
    with pytest.raises(PerceptionError, match="serialized as 'rosmsg_v2'"):
        open_bag(file)


def test_what_is_no_bag(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='no bag at'):
        open_bag(tmp_path / 'nothing')
    with pytest.raises(PerceptionError, match=r'is not a rosbag2: it holds no metadata\.yaml'):
        open_bag(tmp_path)
    text = tmp_path / 'notes.txt'
    text.write_text('hello')
    with pytest.raises(PerceptionError, match='is not a rosbag2 file'):
        open_bag(text)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('', 'is empty or damaged'), ('[1, 2', 'is empty or damaged'),
        ('a: 1', 'is empty or damaged'), ('[' * 5000, 'is empty or damaged'),
        ('rosbag2_bagfile_information: {relative_file_paths: 7}', 'reindex'),
        ('rosbag2_bagfile_information: {relative_file_paths: []}', 'names no files'),
    ],
)
def test_metadata_that_says_nothing(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / 'metadata.yaml').write_text(content)
    with pytest.raises(PerceptionError, match=reason):
        open_bag(tmp_path)


def test_without_a_usable_metadata_the_files_are_read(write_bag: Any, stereo: Any) -> None:
    """The power went off while metadata.yaml was written."""
    folder = write_bag(stereo(3))
    (folder / 'metadata.yaml').write_bytes(b'')
    with open_bag(folder) as bag:
        assert len(list(bag.messages())) == 12
        assert '`ros2 bag reindex` makes it anew' in bag.notes[0]


def test_fewer_messages_than_metadata_says(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(3), storage=SQLITE)
    (file,) = folder.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute('DELETE FROM messages WHERE id > 8')
    with open_bag(folder) as bag:
        assert '/stereo/left/image_rect 2 of 3' in bag.notes[0]


def test_more_messages_than_metadata_says(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(3))
    metadata = folder / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 3', 'message_count: 2', 1))
    with open_bag(folder) as bag:
        assert 'hold more messages than metadata.yaml declares' in bag.notes[0]
        assert '3 of 2' in bag.notes[0]


def test_files_that_metadata_does_not_name(write_bag: Any, stereo: Any) -> None:
    folder = write_bag(stereo(1))
    shutil.copy(folder / 'bag.mcap', folder / 'bag_1.mcap')
    with open_bag(folder) as bag:
        assert len(list(bag.messages())) == 4
        assert 'does not name are left out (bag_1.mcap)' in bag.notes[0]


def test_metadata_whose_text_has_no_end(write_bag: Any, stereo: Any) -> None:
    """A name that is a list of lists of lists of ...: two to the power of forty."""
    folder = write_bag(stereo(1))
    names = [f'k{n}: &k{n} [*k{n - 1}, *k{n - 1}]' for n in range(1, 41)]
    (folder / 'metadata.yaml').write_text('\n'.join((
        'k0: &k0 [x]', *names, 'rosbag2_bagfile_information:',
        '  relative_file_paths: [bag.mcap]', '  topics_with_message_count:',
        '  - {message_count: 1, topic_metadata: {name: *k40, type: x}}',
    )))
    with open_bag(folder) as bag:
        assert len(list(bag.messages())) == 4
        assert 'a topic without name' in bag.notes[0]


def test_only_files_are_opened(write_bag: Any, stereo: Any) -> None:
    """A pipe would be waited for."""
    folder = write_bag(stereo(1))
    (folder / 'metadata.yaml').unlink()
    os.mkfifo(folder / 'a.mcap')
    (folder / 'b.db3').mkdir()
    with open_bag(folder) as bag:
        assert len(list(bag.messages())) == 4
    with pytest.raises(PerceptionError, match='is not a rosbag2'):
        open_bag(folder / 'a.mcap')


def test_a_whole_bag_has_no_notes(shared: Path) -> None:
    with open_bag(shared / 'bags' / 'kitti_06_stereo') as bag:
        for _ in bag.raw_messages():
            pass
        assert bag.notes == ()


def test_a_compressed_file_larger_than_the_limit(tmp_path: Path) -> None:
    file = tmp_path / 'a.mcap.zstd'
    file.write_bytes(zstd.compress(bytes(9_000_000)))
    with pytest.raises(PerceptionError, match='unpacks to more than 5 MB'):
        BagReader(file, BagLimits(file_bytes=5_000_000))


def test_zstd_that_is_not(tmp_path: Path) -> None:
    file = tmp_path / 'a.mcap.zstd'
    file.write_bytes(zstd.compress(b'not an mcap at all, nor ever was one'))
    with pytest.raises(PerceptionError, match='not an MCAP'):
        open_bag(file)
    file.write_bytes(b'not even zstd')
    with pytest.raises(PerceptionError, match='damaged'):
        open_bag(file)


def test_the_bag_of_2019_is_served(shared: Path) -> None:
    """Type names without /msg/, sqlite3 without metadata: its Image and CompressedImage decode."""
    with open_bag(shared / 'bags' / 'foreign' / 'klintan_sample.db3') as bag:
        images = [
            decode_image(entry.message) for entry in bag.messages(['/image', '/image/compressed'])
        ]
    assert [image.data.shape for image in images] == [(480, 640, 3)] * 2
    assert all(image.data.std() > 10.0 for image in images)


def test_the_bag_without_its_splits_is_refused(shared: Path) -> None:
    with pytest.raises(PerceptionError, match='12 of its 13 files are missing'):
        open_bag(shared / 'bags' / 'foreign' / 'amber')


def test_messages_compressed_one_by_one_in_a_lone_split(shared: Path) -> None:
    file = shared / 'bags' / 'foreign' / 'amber' / 'soccer_goal_12.mcap'
    with open_bag(file) as bag:
        images = [decode_image(entry.message) for entry in bag.messages()]
    assert [image.data.shape for image in images] == [(480, 640, 3)] * 2


@pytest.fixture
def entry_of_a_string() -> Callable[[str], Any]:
    """Make a std_msgs/String."""
    return lambda text: BagFactory().make('std_msgs/msg/String', data=text)


def test_one_topic_with_two_types(
    write_bag: Any, stereo: Any, entry_of_a_string: Callable[[str], Any], tmp_path: Path
) -> None:
    folder = tmp_path / 'two'
    folder.mkdir()
    topic, recorded_ns, image = stereo(1)[1]
    for number, message in enumerate((image, entry_of_a_string('x'))):
        single = write_bag([(topic, recorded_ns, message)], f'part_{number}')
        shutil.copy(next(single.glob('*.mcap')), folder)
    with open_bag(folder) as bag:
        assert topic not in bag.topics()
        assert bag.notes[0].startswith(f'left out: {topic}, which has the types ')
