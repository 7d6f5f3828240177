# SPDX-License-Identifier: Apache-2.0
"""What is written is what `ros2 bag` and Foxglove expect, and is whole or not there."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.types import PerceptionError


@pytest.mark.parametrize('compression', ['zstd', 'none'])
def test_what_goes_in_comes_out(tmp_path: Path, stereo: Any, compression: str) -> None:
    path = tmp_path / 'deep' / 'out'
    with BagWriter(path, compression=compression) as writer:
        for entry in stereo(3):
            writer.write(*entry)
    with open_bag(path) as bag:
        for found, (topic, recorded_ns, message) in zip(bag.messages(), stereo(3), strict=True):
            assert (found.topic, found.recorded_ns) == (topic, recorded_ns)
            assert type(found.message) is type(message)
            if hasattr(message, 'data'):
                np.testing.assert_array_equal(found.message.data, message.data)
    assert [entry.name for entry in (tmp_path / 'deep').iterdir()] == ['out']


def test_every_topic_carries_its_definition(tmp_path: Path, stereo: Any) -> None:
    """AnyReader takes its types from the definitions in the file and compares their hashes."""
    with BagWriter(tmp_path / 'out') as writer:
        for entry in stereo(1):
            writer.write(*entry)
    with AnyReader([tmp_path / 'out']) as bag:
        for connection, _, data in bag.messages():
            message = bag.deserialize(data, connection.msgtype)
            assert message.header.frame_id == 'left_optical'
            assert 'std_msgs/Header header' in connection.msgdef.data


def test_metadata_that_humble_reads(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'out') as writer:
        writer.add_topic('/quiet', 'sensor_msgs/msg/Image')
        writer.add_topic('/kept', 'std_msgs/msg/String', latched=True)
        message = BagFactory().make('std_msgs/msg/String', data='x')
        writer.write('/kept', 7, message)
        writer.write('/kept', 9, message)
    content = yaml.safe_load((tmp_path / 'out' / 'metadata.yaml').read_text())
    information = content['rosbag2_bagfile_information']
    assert information['version'] <= 8
    assert information['storage_identifier'] == 'mcap'
    assert information['starting_time']['nanoseconds_since_epoch'] == 7
    assert information['duration']['nanoseconds'] == 2
    topics = {
        entry['topic_metadata']['name']: entry
        for entry in information['topics_with_message_count']
    }
    assert {name: entry['message_count'] for name, entry in topics.items()} == {
        '/quiet': 0, '/kept': 2
    }
    # Until Iron the profiles are YAML inside a string; 1 is transient local, 2 volatile.
    durability = {
        name: yaml.safe_load(entry['topic_metadata']['offered_qos_profiles'])[0]['durability']
        for name, entry in topics.items()
    }
    assert durability == {'/quiet': 2, '/kept': 1}
    with Reader(tmp_path / 'out') as bag:
        assert bag.message_count == 2


def test_raw_bytes_pass_through(tmp_path: Path, write_bag: Any, stereo: Any) -> None:
    with open_bag(write_bag(stereo(2))) as bag:
        raw = list(bag.raw_messages())
    with BagWriter(tmp_path / 'copy') as writer:
        for topic, kind, recorded_ns, data in raw:
            writer.write_raw(topic, kind, recorded_ns, data)
    with open_bag(tmp_path / 'copy') as bag:
        assert list(bag.raw_messages()) == raw


def test_an_exception_leaves_nothing(tmp_path: Path, stereo: Any) -> None:
    with pytest.raises(RuntimeError, match='stop'), BagWriter(tmp_path / 'out') as writer:
        writer.write(*stereo(1)[0])
        raise RuntimeError('stop')
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / 'out').mkdir()
    BagWriter(tmp_path / 'out').close()
    before = sorted((tmp_path / 'out').iterdir())
    with pytest.raises(PerceptionError, match='exists already'):
        BagWriter(tmp_path / 'out')
    assert sorted((tmp_path / 'out').iterdir()) == before
    (tmp_path / 'file').write_text('x')
    with pytest.raises(PerceptionError, match='exists already'):
        BagWriter(tmp_path / 'file')


def test_mistakes_in_topics(tmp_path: Path, stereo: Any) -> None:
    with pytest.raises(PerceptionError, match='zstd or none'):
        BagWriter(tmp_path / 'out', compression='bz2')
    with BagWriter(tmp_path / 'out') as writer:
        writer.add_topic('/a', 'std_msgs/msg/String')
        with pytest.raises(PerceptionError, match='/a is std_msgs/msg/String, not sensor_msgs'):
            writer.write('/a', 0, stereo(1)[1][2])
        with pytest.raises(PerceptionError, match='my_msgs/msg/Own is not known'):
            writer.add_topic('/b', 'my_msgs/msg/Own')


FILL = """
import resource, signal, sys
import numpy as np
from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.messages.image import image_message
from perception_nodes.types import Image, PerceptionError
# What a full disk does: the write that does not fit fails with an OSError.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
noise = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
frames = int(sys.argv[2])
try:
    with BagWriter(sys.argv[1], compression='none') as writer:
        for index in range(frames):
            writer.write('/image', index, image_message(Image(noise, index), BagFactory()))
except PerceptionError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == 'win32', reason='RLIMIT_FSIZE is of POSIX')
@pytest.mark.parametrize('frames', [100, 10])
def test_a_full_disk_leaves_nothing(tmp_path: Path, frames: int) -> None:
    """100 frames: a write fails; 10: the last chunk does not fit when the bag is closed."""
    out = tmp_path / 'out'
    done = subprocess.run(
        [sys.executable, '-c', FILL, str(out), str(frames)], capture_output=True, text=True,
        check=False, env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f'cannot write {out}: File too large'
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where the folder would be: true for root too, whom no mode bits stop."""
    (tmp_path / 'file').write_text('x')
    with pytest.raises(PerceptionError, match='cannot write'):
        BagWriter(tmp_path / 'file' / 'out')
    if os.geteuid():
        sealed = tmp_path / 'sealed'
        sealed.mkdir(mode=0o500)
        with pytest.raises(PerceptionError, match='Permission denied'):
            BagWriter(sealed / 'out')
