# SPDX-License-Identifier: Apache-2.0
"""Bags that go out over DDS and come back."""

import time

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.messages.image import (
    compressed_message,
    decode_array,
    encode_image,
    image_message,
)
from perception_nodes.messages.topics import full_name
from perception_nodes.ros.node.active_state import ActiveState
from perception_nodes.ros.processes import NodeProcess, ros_arguments
from perception_nodes.ros.tools.player import play
from perception_nodes.ros.tools.recorder import Recorder, node_topics
from perception_nodes.types import PerceptionError


@pytest.fixture
def drive(tmp_path, wall):
    """Four images at 10 Hz, one compressed, and a type that is not installed."""
    factory = BagFactory()
    with BagWriter(tmp_path / 'drive') as writer:
        for pair in wall(4):
            stamp = pair.left.stamp_ns
            writer.write('/camera/image', stamp, image_message(pair.left, factory))
        writer.write('/camera/image/compressed', stamp, compressed_message(pair.left, factory))
        writer.write(
            '/tf_static', stamp, factory.make('tf2_msgs/msg/TFMessage', transforms=[])
        )
    return tmp_path / 'drive'


def test_what_is_played_is_recorded(drive, tmp_path):
    """Bit for bit, under another name, each once, in order."""
    topics = {
        '/other': 'sensor_msgs/msg/Image', '/camera/image/compressed':
        'sensor_msgs/msg/CompressedImage',
    }
    told = []
    with Recorder(tmp_path / 'copy', topics) as recorder:
        played = play(
            drive, rate=4.0, remap={'/camera/image': '/other'},
            subscribers=dict.fromkeys(topics, 1),
            progress=lambda sent, total: told.append((sent, total)),
        )
        recorder.settle(0.3)
        assert recorder.counts == {'/other': 4, '/camera/image/compressed': 1}
    installed = '/tf_static' not in played.skipped
    assert played.counts['/camera/image'] == 4
    assert told == [(n, 5 + installed) for n in range(1, 6 + installed)]
    with open_bag(drive) as original, open_bag(tmp_path / 'copy') as copy:
        sent = [raw.data for raw in original.raw_messages(['/camera/image'])]
        got = [raw.data for raw in copy.raw_messages(['/other'])]
        assert [bytes(data) for data in got] == [bytes(data) for data in sent]
        assert copy.topics()['/camera/image/compressed'].type == 'sensor_msgs/msg/CompressedImage'


def test_pace_and_clock(bench, drive):
    """Images come 0.1 s apart at rate 1, and /clock tells the recording's time."""
    clocks, images = bench.listen(Clock, '/clock'), bench.listen(Image, '/camera/image')
    played = play(drive, topics=['/camera/image'], clock=True, subscribers={'/camera/image': 1},
                  context=bench.contexts[1])
    bench.until(lambda: len(images) == 4)
    assert set(played.counts) == {'/camera/image'}
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in clocks]
    first, last = 1_700_000_000 * 10**9, 1_700_000_000 * 10**9 + 300_000_000
    assert first <= min(times) <= first + 50_000_000 and last - 50_000_000 <= max(times) <= last
    assert len(times) >= 10 and times == sorted(times)


def test_playing_to_nobody_or_nothing_is_told(drive):
    """One line each."""
    with pytest.raises(PerceptionError, match=r'0 of 1 subscribers on /camera/image after 0\.1 s'):
        play(drive, subscribers={'/camera/image': 1}, wait_s=0.1)
    with pytest.raises(PerceptionError, match='nothing is played on /no'):
        play(drive, subscribers={'/no': 1})
    with pytest.raises(PerceptionError, match='has no topic /no'):
        play(drive, topics=['/no'])
    with pytest.raises(PerceptionError, match='rate is 0; it must be positive'):
        play(drive, rate=0)


def test_recording_that_fails_leaves_no_bag(tmp_path):
    """An exception inside the with statement, and a topic that nobody publishes."""
    silent = {'/silent': 'sensor_msgs/msg/Image'}
    with (
        pytest.raises(PerceptionError, match='nobody publishes /silent'),
        Recorder(tmp_path / 'out', silent) as recorder,
    ):
        recorder.wait_for_publishers(0.1)
    assert list(tmp_path.iterdir()) == []


def test_compressed_transport(bench, wall):
    """The topic below the remapped one; JPEG is decoded."""
    node = bench.add(
        'visual_odometry', {'mount': 'parameter', 'transport': 'compressed'},
        remappings={'left/image_rect': '/cam/l', 'right/image_rect': '/cam/r'},
    )
    bench.active(node)
    names = [s.topic_name for s in node.active._subscriptions.by_input.values()]
    assert {'/cam/l/compressed', '/cam/r/compressed'} <= set(names)
    pair = wall(1)[0]
    publisher = bench.publisher(CompressedImage, '/cam/l/compressed')
    other = bench.publisher(CompressedImage, '/cam/r/compressed')
    bench.until(lambda: publisher.get_subscription_count() and other.get_subscription_count())
    for side in ('left', 'right'):
        info = bench.publisher(CameraInfo, f'{side}/camera_info')
        bench.until(lambda i=info: i.get_subscription_count() == 1)
    time.sleep(0.3)  # the other direction is matched a little later
    bench.send_info(pair)
    publisher.publish(compressed_message(pair.left, bench.factory))
    other.publish(compressed_message(pair.right, bench.factory))
    bench.until(lambda: node.statistics.counted('out') == 1)


def test_topics_of_the_nodes():
    """All but the images for eyes, or those that are named."""
    assert node_topics(['visual_odometry']) == {
        full_name('visual_odometry', 'odometry'): 'nav_msgs/msg/Odometry',
        full_name('visual_odometry', 'status'): 'diagnostic_msgs/msg/DiagnosticStatus',
        full_name('visual_odometry', 'model_info'): 'std_msgs/msg/String',
    }
    assert list(node_topics(['segmentation', 'optical_flow'], ['mask', 'flow'])) == [
        '/segmentation_node/mask', '/optical_flow_node/flow'
    ]


def test_images_of_another_process_arrive(tmp_path, drive):
    """A node in a process of its own answers what is played, with the stamps of the images."""
    log = tmp_path / 'log'
    topics = {'/segmentation_node/mask': 'sensor_msgs/msg/Image'}
    with NodeProcess('segmentation_node', remappings={'image': '/camera/image'}, log=log) as node:
        with Recorder(tmp_path / 'out', topics) as recorder:
            recorder.wait_for_publishers()
            play(drive, rate=0.3, topics=['/camera/image'], subscribers={'/camera/image': 1})
            recorder.settle(1.0)
        assert node.close() == 0, log.read_text()
    with open_bag(tmp_path / 'out') as bag:
        stamps = [m.message.header.stamp for m in bag.messages(list(topics))]
    assert 1 <= len(stamps) <= 4
    assert {stamp.nanosec for stamp in stamps} <= {0, 100_000_000, 200_000_000, 300_000_000}


def test_command_line_of_a_node():
    """Values as YAML reads them back."""
    assert ros_arguments({'a': True, 'b': 'x', 'c': [1.0, 2.0]}, {'image': '/cam'}) == [
        '--ros-args', '-p', 'a:=true', '-p', 'b:="x"', '-p', 'c:=[1.0, 2.0]', '-r', 'image:=/cam'
    ]


def test_factory_makes_what_rclpy_sends(bench):
    """Arrays, bytes of any dtype, stamps; rclpy itself checks the fields."""

    values = np.array([[1.5, np.nan], [-2.0, 3.0]], np.float32)
    message = encode_image(values, '32FC1', bench.factory, 12_345_678_901, 'cam')
    back = deserialize_message(serialize_message(message), Image)
    np.testing.assert_array_equal(decode_array(back), values)
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (12, 345_678_901)
    with pytest.raises(PerceptionError, match='made_up/msg/Type is not installed'):
        bench.factory.make('made_up/msg/Type')


def test_playing_waits_until_the_nodes_know_the_player(bench, wall, tmp_path, monkeypatch):
    """A node that has not matched the player yet gets every image all the same."""
    factory = BagFactory()
    with BagWriter(tmp_path / 'drive') as writer:
        for pair in wall(2):
            writer.write('/camera/image', pair.left.stamp_ns, image_message(pair.left, factory))
    node = bench.add('segmentation', remappings={'image': '/camera/image'})
    bench.active(node)
    start, known = time.monotonic(), []

    def says(self):
        """Say for a second that nobody is known."""
        known.append(time.monotonic() - start > 2.0)
        return {'publishers on /camera/image': str(int(known[-1]))}

    monkeypatch.setattr(ActiveState, 'connections', says)
    play(tmp_path / 'drive', rate=20.0, subscribers={'/camera/image': 1},
         progress=lambda sent, total: known.append('played') if sent == 1 else None)
    assert time.monotonic() - start > 2.0 and known[0] is False
    assert known[known.index('played') - 1] is True


def test_nodes_tell_how_many_publishers_they_are_matched_with(bench, wall, diagnosis):
    """None, then the driver's."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    assert diagnosis(node)[2]['publishers on /left/image_rect'] == '0'
    bench.connect_cameras()
    values = diagnosis(node)[2]
    for topic in ('left/image_rect', 'left/camera_info', 'right/image_rect', 'right/camera_info'):
        assert values[f'publishers on /{topic}'] == '1'
