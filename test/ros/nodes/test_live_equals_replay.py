# SPDX-License-Identifier: Apache-2.0
"""What a node publishes over DDS is what replay writes, bit for bit, where no frame is dropped."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.factory import typestore
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.bags.replay import replay
from perception_nodes.bags.writer import BagWriter
from perception_nodes.inference.models import list_models
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.build import build_perception
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.factory import RclpyFactory, message_class
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.types import Camera, StereoRig

FRAMES = 4
WIDTH, HEIGHT, FOCAL_PX = 320, 192, 200.0

def need_models(tasks):
    """Skip where a released model is not there."""
    wanted = {TASKS[task].model for task in tasks if task != 'visual_odometry'}
    wanted |= {'features'} if 'place_recognition' in tasks else set()
    missing = sorted(wanted - {''} - set(list_models()))
    if missing:
        pytest.skip(f'models are missing: {", ".join(missing)}')


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    """A short rendered drive."""
    left = Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, WIDTH / 2, HEIGHT / 2)
    right = Camera.pinhole(
        WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, WIDTH / 2, HEIGHT / 2, baseline_m=0.4
    )
    path = tmp_path_factory.mktemp('live') / 'drive'
    return write_rendered_bag(path, seed=5, frames=FRAMES, rig=StereoRig(left, right))


def replayed(drive, out, tasks):
    """Replay the drive and give its messages by topic."""
    perception = build_perception(dict.fromkeys(tasks))
    with open_bag(drive) as bag, BagWriter(out) as writer:
        frames = BagFrames(bag, find_cameras(bag))
        replay(frames, perception, writer, on_demand=True)
    messages: dict[str, list[Any]] = {}
    with open_bag(out) as bag:
        for message in bag.messages():
            messages.setdefault(message.topic, []).append(message.message)
    return messages


def assert_same(live: Any, expected: Any, where: str) -> None:
    """Compare two messages of rosbags field by field, exactly; NaN equals NaN."""
    if dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            assert_same(
                getattr(live, field.name), getattr(expected, field.name), f'{where}.{field.name}'
            )
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(live, expected, err_msg=where)
    elif isinstance(expected, list):
        assert len(live) == len(expected), where
        for index, (one, other) in enumerate(zip(live, expected, strict=True)):
            assert_same(one, other, f'{where}[{index}]')
    elif expected != expected:
        assert live != live, where
    else:
        assert live == expected, where


@pytest.mark.parametrize('tasks', [*((task,) for task in TASKS), tuple(TASKS)], ids='+'.join)
def test_live_equals_replay(bench, drive, tmp_path, tasks):
    """Every topic of every node, every frame, every byte that has a meaning."""
    need_models(tasks)
    alone = len(tasks) == 1
    mono = alone and not TASKS[tasks[0]].stereo
    parameters = {'mount': 'parameter'} if any(TASKS[task].mounted for task in tasks) else {}
    if not alone:
        parameters['tasks'] = list(tasks)
    node = bench.add(tasks[0] if alone else PerceptionNode, parameters)
    bench.active(node)
    topics = {
        full_name(task, topic.name): topic for task in tasks for topic in TASKS[task].topics
        if message_class(topic.type) is not None
    }
    live = {
        name: bench.listen(message_class(topic.type), name, latched=topic.latched)
        for name, topic in topics.items()
    }
    bench.connect_cameras(mono)
    for topic in live:
        bench.until(lambda t=topic: bench.driver.count_publishers(t) == 1)
    bench.until(lambda: all(
        node.configured._outputs.wanted(task) >= {
            topic.name for topic in TASKS[task].topics
            if full_name(task, topic.name) in live
        } for task in tasks
    ))
    with open_bag(drive) as bag:
        pairs = list(BagFrames(bag, find_cameras(bag)))
    for number, pair in enumerate(pairs, 1):
        bench.send(pair, mono)
        bench.until(lambda n=number: node.statistics.counted('out') == n, 30.0)
    expected = replayed(drive, tmp_path / 'out', tasks)
    assert any(messages for topic, messages in expected.items() if topic in live)
    for topic, received in live.items():
        # Of what grows with every message, replay keeps the last.
        sent = FRAMES if topics[topic].cumulative else len(expected.get(topic, ()))
        bench.until(lambda t=topic, n=sent: len(live[t]) >= n)
        if topics[topic].cumulative:
            assert len(received) == FRAMES, topic
            received = received[-1:]
        assert len(received) == len(expected.get(topic, ())), topic
        for index, (one, other) in enumerate(zip(received, expected.get(topic, ()), strict=True)):
            kind = other.__msgtype__
            if topics[topic].latched and hasattr(one, 'header'):
                one.header.stamp = RclpyFactory().time(stamp_ns(other.header.stamp))  # of loading
            as_recorded = typestore().deserialize_cdr(serialize_message(one), kind)
            assert_same(as_recorded, other, f'{topic}[{index}]')
