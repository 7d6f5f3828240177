# SPDX-License-Identifier: Apache-2.0
"""Frames come and nothing good goes out: /diagnostics says so, and the topics themselves."""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from nav_msgs.msg import Odometry

from perception_nodes.ros.node import active_state, health
from perception_nodes.ros.nodes.task_node import TaskNode
from perception_nodes.ros.tasks import odometry as odometry_interface

WARN, ERROR = 1, 2


@pytest.fixture
def odometry(bench):
    """Give an active node that is connected, its pipeline, and what it publishes."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    received = bench.listen(Odometry, '/visual_odometry_node/odometry')
    bench.connect_cameras()
    return node, node.configured.loaded.perception.pipelines['visual_odometry'], received


def until_told(bench, node, diagnosis, level, text):
    """Wait for a level and a text in the diagnostics."""
    told = []

    def is_told():
        told[:] = diagnosis(node)
        return told[0] == level and text in told[1]

    bench.until(is_told)
    return told


def blank(pair):
    """A pair of black images."""
    return replace(pair, **{
        side: replace(getattr(pair, side), data=np.zeros_like(getattr(pair, side).data))
        for side in ('left', 'right')
    })


def test_lost_from_the_first_frame_on(bench, odometry, diagnosis, wall):
    """Black images: an error, and a pose that nobody can take for one."""
    node, _, received = odometry
    for number, pair in enumerate(wall(3), 1):
        bench.send(blank(pair))
        bench.until(lambda n=number: len(received) == n)
    until_told(bench, node, diagnosis, ERROR, 'visual_odometry is lost since the first frame: ')
    for message in received:
        assert np.diag(np.reshape(message.pose.covariance, (6, 6))).min() >= 9999.0
        assert np.diag(np.reshape(message.twist.covariance, (6, 6))).min() >= 9999.0


def test_lost_on_the_way(bench, odometry, diagnosis, wall, monkeypatch):
    """The lens is covered: a warning, then an error; the twist is zero, the pose stays near."""
    monkeypatch.setattr(odometry_interface, 'LOST_ERROR_S', 1.0)
    node, _, received = odometry
    pairs = wall(8)
    for number, pair in enumerate([*pairs[:4], *map(blank, pairs[4:])], 1):
        bench.send(pair)
        bench.until(lambda n=number: len(received) == n)
    until_told(bench, node, diagnosis, WARN, 'visual_odometry is lost for ')
    seen, lost = received[3], received[7]
    assert abs(seen.twist.twist.linear.y) > 0.3 and seen.pose.covariance[0] < 1.0
    assert lost.twist.twist.linear.y == lost.twist.twist.linear.x == 0.0
    assert lost.pose.covariance[0] >= 9999.0 and lost.twist.covariance[0] >= 9999.0
    assert abs(lost.pose.pose.position.y - seen.pose.pose.position.y) < 0.5
    until_told(bench, node, diagnosis, ERROR, 'visual_odometry is lost for ')


def test_most_frames_dropped(bench, odometry, diagnosis, wall):
    """The machine is too slow for the camera."""
    node, pipeline, _ = odometry
    advance = pipeline._advance

    def slow(*arguments):
        time.sleep(0.25)
        return advance(*arguments)

    pipeline._advance = slow
    for pair in wall(40):
        bench.send(pair)
        time.sleep(0.03)
    _, message, values = until_told(
        bench, node, diagnosis, WARN, 'of the frames are dropped'
    )
    share = int(message.partition('%')[0].split()[-1])
    assert share >= 50 and int(values['dropped']) >= 20


def test_hanging_worker_is_told_and_does_not_hold_the_node(
    bench, odometry, diagnosis, wall, monkeypatch
):
    """A frame that never ends: an error; deactivate returns, and it does not start again."""
    monkeypatch.setattr(health, 'BUSY_WARN_S', 0.2)
    monkeypatch.setattr(health, 'BUSY_ERROR_S', 1.0)
    monkeypatch.setattr(active_state, 'PATIENCE_S', 0.2)
    node, pipeline, received = odometry
    go = threading.Event()
    advance, pipeline._advance = pipeline._advance, lambda *_: go.wait(30)
    bench.send(wall(1)[0])
    until_told(bench, node, diagnosis, WARN, 'the worker has been busy with one frame for')
    until_told(bench, node, diagnosis, ERROR, 'the worker has been busy with one frame for')
    worker = node.active.worker
    bench.executors[0].create_task(node.trigger_deactivate)
    bench.until(lambda: node.stage == 'inactive')
    assert node.hangs and received == []
    bench.executors[0].create_task(node.trigger_activate)
    bench.until(lambda: 'a worker still hangs' in node.failure)
    pipeline._advance = advance
    go.set()
    assert worker.stop(10.0)


def test_frames_without_any_answer(bench, odometry, diagnosis, wall, monkeypatch):
    """Every frame fails: beside the reason it is told that nothing goes out."""
    monkeypatch.setattr(health, 'OUTPUT_WARN_S', 0.5)
    node, pipeline, received = odometry
    pipeline._advance = lambda *_: 1 // 0
    for pair in wall(15):
        bench.send(pair)
        time.sleep(0.1)
    message = diagnosis(node)[1]
    assert 'frames come but nothing was published for' in message and received == []


def test_model_of_another_task_is_refused(bench, diagnosis):
    """The node stays unconfigured and names both tasks."""
    node = bench.add('mono_depth', {'model': 'segmentation'})
    bench.until(lambda: bool(node.failure))
    level, message, _ = diagnosis(node)
    assert level == ERROR and node.stage == 'unconfigured'
    assert 'is for segmentation, not for mono_depth: choose a model of that task' in message


def hanging_node():
    """Run a node whose worker hangs, as a process of its own."""
    from perception_nodes.ros.node.run import run

    def make():
        node = TaskNode('visual_odometry', cli_args=['--ros-args', '-p', 'mount:=parameter'])

        def hang():
            if node.active is not None and not node.active.worker.busy_s:
                node.active.worker.mailbox.put_job(lambda: time.sleep(60))
                print('hangs now', flush=True)

        node.create_timer(0.1, hang)
        return node

    active_state.PATIENCE_S = 0.5
    return run(make, [])


def test_process_with_a_hanging_worker_ends(tmp_path):
    """Ctrl-C ends it soon, with status 1 and one line."""
    code = (
        f'import sys, runpy; module = runpy.run_path({__file__!r}); '
        'sys.exit(module["hanging_node"]())'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'hangs now\n'
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert 'the worker hangs and was left behind' in errors and 'Traceback' not in errors
