# SPDX-License-Identifier: Apache-2.0
"""A whole replay, through the command, with visual odometry: it needs no model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.cameras import CameraTopics, find_cameras
from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.cli import commands
from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder
from perception_nodes.evaluation.replay.tasks import choose_tasks
from perception_nodes.evaluation.replay.whole_folder import RESULT_NAMES
from perception_nodes.messages.image import image_message
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import Image, PerceptionError

ODOMETRY = ReplaySettings(tasks=('visual_odometry',))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `perception replay ...`; give exit status, what was printed, and what was complained."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = commands.run(['replay', *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_a_replay_is_scored_and_shown(wall_bag: Path, tmp_path: Path, command: Any) -> None:
    out = tmp_path / 'out'
    status, printed, _ = command(
        str(wall_bag), '--out', str(out), '--tasks', 'visual_odometry', '--on-demand'
    )
    assert status == 0
    assert sorted(entry.name for entry in out.iterdir()) == [
        'metrics.json', 'outputs', 'report.html', 'timings.json', 'trajectories'
    ]
    assert {entry.name for entry in out.iterdir()} <= RESULT_NAMES  # so it can be replaced
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['frames'] == 6
    assert metrics['cameras'] == ['/left/image_rect', '/right/image_rect']
    assert metrics['outputs']['/visual_odometry_node/odometry'] == 6
    assert metrics['metrics']['visual_odometry']['end_error_percent'] < 1.0
    assert 'Visual odometry: end error' in printed
    with open_bag(out / 'outputs') as bag:
        assert bag.topics()['/visual_odometry_node/path'].count == 1
    report = (out / 'report.html').read_text()
    assert report.count('<figure><img') == 3
    assert 'Path from above' in report
    timings = json.loads((out / 'timings.json').read_text())
    assert timings['milliseconds']['visual_odometry']['calls'] == 6


def test_results_are_replaced_when_asked(wall_bag: Path, tmp_path: Path) -> None:
    settings = ReplaySettings(tasks=('visual_odometry',), overwrite=True)
    for _ in range(2):
        replay_to_folder(wall_bag, tmp_path / 'out', settings)
    assert {entry.name for entry in (tmp_path / 'out').iterdir()} <= RESULT_NAMES


def test_two_replays_write_the_same_metrics(wall_bag: Path, tmp_path: Path) -> None:
    for name in ('first', 'second'):
        replay_to_folder(wall_bag, tmp_path / name, ODOMETRY)
    first, second = (
        (tmp_path / name / 'metrics.json').read_bytes() for name in ('first', 'second')
    )
    assert first == second
    assert json.loads(first)['digests'].keys() == json.loads(first)['outputs'].keys()


def test_parameters_are_those_of_the_node(wall_bag: Path, tmp_path: Path, command: Any) -> None:
    status, _, complaint = command(
        str(wall_bag), '--out', str(tmp_path / 'out'), '--tasks', 'visual_odometry',
        '-p', 'visual_odometry.odom_frame:=map', '-p', 'visual_odometry.window:=3',
    )
    assert status == 0, complaint
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['parameters'] == {
        'visual_odometry.odom_frame': 'map', 'visual_odometry.window': '3'
    }
    assert 'visual_odometry.window is 3' in (tmp_path / 'out' / 'report.html').read_text()
    with open_bag(tmp_path / 'out' / 'outputs') as bag:
        found = bag.messages(['/visual_odometry_node/odometry'])
        frames = {entry.message.header.frame_id for entry in found}
    assert frames == {'map'}


def test_only_as_many_frames_as_asked(wall_bag: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    result = replay_to_folder(
        wall_bag, tmp_path / 'out', ReplaySettings(('visual_odometry',), max_frames=3),
        progress=lambda *step: seen.append(step),
    )
    assert result.metrics['frames'] == 3
    assert seen == [('replay', frame, 3) for frame in (1, 2, 3)]


def test_numbers_that_are_not_finite_are_null(wall_bag: Path, tmp_path: Path) -> None:
    replay_to_folder(
        wall_bag, tmp_path / 'out', ReplaySettings(('visual_odometry',), max_frames=2)
    )
    text = (tmp_path / 'out' / 'metrics.json').read_text()

    def refuse(name: str) -> None:
        raise AssertionError(f'{name} is not JSON')

    json.loads(text, parse_constant=refuse)


def test_a_camera_without_its_pair_runs_what_it_can(wall_bag: Path) -> None:
    with open_bag(wall_bag) as bag:
        mono = find_cameras(bag, image='/left/image_rect')
        tasks, notes = choose_tasks(mono)
        assert tasks == ('segmentation', 'mono_depth', 'optical_flow', 'place_recognition')
        assert [note.split()[0] for note in notes] == ['stereo_depth', 'visual_odometry']
        with pytest.raises(PerceptionError, match='visual_odometry is not possible'):
            choose_tasks(mono, ('visual_odometry',))
        tasks, notes = choose_tasks(CameraTopics('/image'))
        assert tasks == ('segmentation', 'optical_flow')
        assert any('no camera_info' in note for note in notes)
        assert choose_tasks(find_cameras(bag)) == (tuple(TASKS), ())
        with pytest.raises(PerceptionError, match="no task 'odometry'"):
            choose_tasks(mono, ('odometry',))


def _broken_bag(folder: Path, kind: str, good: Path) -> Path:
    """Make a bag that is broken in one way."""
    path = folder / 'broken'
    if kind == 'nothing':
        return path
    if kind == 'folder':
        path.mkdir()
        return path
    if kind == 'truncated':
        shutil.copytree(good, path)
        (file,) = path.glob('*.mcap')
        file.write_bytes(file.read_bytes()[:5000])
        return path
    factory = BagFactory()
    with open_bag(good) as bag, BagWriter(path) as writer:
        if kind == 'no cameras':
            writer.write('/text', 0, factory.make('std_msgs/msg/String', data='x'))
            return path
        for entry in bag.messages(['/left/image_rect', '/left/camera_info',
                                   '/right/image_rect', '/right/camera_info']):
            message = entry.message
            if kind == 'step' and entry.topic == '/left/image_rect':
                message.step = 3
            if kind == 'encoding' and entry.topic == '/left/image_rect':
                message.encoding = 'yuv999'
            if kind == 'calibration' and entry.topic == '/left/camera_info':
                message.k = np.zeros(9)
            if kind == 'empty' and entry.topic == '/right/image_rect':
                message.height, message.data = 0, np.zeros(0, np.uint8)
            if kind == 'sizes' and entry.topic == '/right/image_rect':
                message = image_message(
                    Image(np.zeros((40, 60), np.uint8), entry.recorded_ns), factory
                )
            writer.write(entry.topic, entry.recorded_ns, message)
    return path


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        ('nothing', 'no bag at'), ('folder', 'is not a rosbag2'),
        ('truncated', 'break off at byte'),
        ('no cameras', 'has no camera topic'), ('step', 'step 3 is too small'),
        ('encoding', "'yuv999' is not known"), ('calibration', 'uncalibrated camera'),
        ('empty', 'empty image'), ('sizes', '60x40'),
    ],
)
def test_bad_bags_end_in_one_line(
    wall_bag: Path, tmp_path: Path, command: Any, kind: str, reason: str
) -> None:
    bag, out = _broken_bag(tmp_path, kind, wall_bag), tmp_path / 'out'
    status, printed, complaint = command(
        str(bag), '--out', str(out), '--tasks', 'visual_odometry'
    )
    assert (status, printed) == (2, '')
    lines = [line for line in complaint.splitlines() if line.startswith('perception: ')]
    assert len(lines) == 1
    assert reason in lines[0]
    assert 'Traceback' not in complaint
    assert sorted(entry.name for entry in tmp_path.iterdir()) in ([], ['broken'])


def test_truth_on_another_clock_is_told(wall_bag: Path, tmp_path: Path) -> None:
    path = tmp_path / 'bag'
    with open_bag(wall_bag) as bag, BagWriter(path) as writer:
        for entry in bag.messages():
            if entry.topic.startswith('/ground_truth/'):
                entry.message.header.stamp.sec += 500
            writer.write(entry.topic, entry.recorded_ns, entry.message)
    result = replay_to_folder(path, tmp_path / 'out', ODOMETRY)
    assert result.metrics['metrics'] == {}
    assert any(
        note.startswith('ground truth /ground_truth/odometry was not used: none of its ')
        and 'the nearest is 499.5 s away' in note for note in result.notes
    ), result.notes


@pytest.mark.parametrize('part', ['observer.SequenceScorer', 'run.recording_report'])
def test_results_outlive_an_error_in_scoring_or_drawing(
    wall_bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError('no frames')

    monkeypatch.setattr(f'perception_nodes.evaluation.replay.{part}', fail)
    replay_to_folder(wall_bag, tmp_path / 'out', ODOMETRY)
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['outputs']['/visual_odometry_node/odometry'] == 6
    assert any('ZeroDivisionError: no frames' in note for note in metrics['notes'])


def test_what_was_left_out_is_in_the_notes(wall_bag: Path, tmp_path: Path) -> None:
    path = tmp_path / 'bag'
    with open_bag(wall_bag) as bag, BagWriter(path) as writer:
        for number, entry in enumerate(bag.messages(['/left/image_rect'])):
            if number == 2:
                entry.message.data = entry.message.data[:0]
            writer.write(entry.topic, entry.recorded_ns, entry.message)
        for entry in bag.messages(set(bag.topics()) - {'/left/image_rect'}):
            writer.write(entry.topic, entry.recorded_ns, entry.message)
    told: list[str] = []
    result = replay_to_folder(path, tmp_path / 'out', ODOMETRY, note=told.append)
    assert result.metrics['frames'] == 5
    assert tuple(told) == result.notes
    assert any('1 message of /left/image_rect left out' in note for note in told)


def test_mistakes_on_the_command_line(wall_bag: Path, tmp_path: Path, command: Any) -> None:
    out, full = str(tmp_path / 'out'), tmp_path / 'full'
    full.mkdir()
    (full / 'thesis.txt').write_text('all of it')
    for arguments, reason in (
        (('--out', out, '--tasks', 'flow'), "no task 'flow'"),
        (('--out', str(full)), 'is not empty'),
        (('--out', str(full / 'thesis.txt' / 'out')), 'cannot write'),
        (('--out', out, '--left-topic', '/left/image_rect'), 'name both'),
        (('--out', out, '--models', str(tmp_path / 'none')), 'none'),
        (('--out', out, '-p', 'odom_frame'), "takes NAME:=VALUE, as in mc_samples:=8, not 'odom"),
        (('--out', out, '-p', 'odom_frame:=map'), 'parameter odom_frame: it starts with a task'),
        (('--out', out, '--tasks', 'visual_odometry', '-p', 'segmentation.flip:=true'),
         'it starts with a task that runs, visual_odometry'),
        (('--out', out, '-p', 'visual_odometry.wheel:=1'), 'no parameter visual_odometry.wheel; '),
    ):
        status, _, complaint = command(str(wall_bag), *arguments)
        assert (status, reason in complaint) == (2, True), complaint
    assert (full / 'thesis.txt').read_text() == 'all of it'
    assert not (tmp_path / 'out').exists()


def test_a_missing_model_is_named(wall_bag: Path, tmp_path: Path) -> None:
    settings = ReplaySettings(('segmentation',), models={'segmentation': tmp_path / 'my.onnx'})
    with pytest.raises(PerceptionError, match=r'my\.onnx'):
        replay_to_folder(wall_bag, tmp_path / 'out', settings)
    assert list(tmp_path.iterdir()) == []


def test_the_kitti_drive(shared: Path, tmp_path: Path) -> None:
    """51 poses, every one of them, and an end error below 2 % of the path."""
    result = replay_to_folder(
        shared / 'bags' / 'kitti_06_stereo', tmp_path / 'out', ODOMETRY
    )
    assert result.metrics['outputs']['/visual_odometry_node/odometry'] == 51
    assert result.metrics['metrics']['visual_odometry']['end_error_percent'] < 2.0
