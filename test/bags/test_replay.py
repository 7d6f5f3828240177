# SPDX-License-Identifier: Apache-2.0
"""Replay: every frame, every topic, the same bytes each time, and what the nodes would say."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.replay import Replayed, replay
from perception_nodes.bags.writer import BagWriter
from perception_nodes.inference.model_card import ModelCard, TensorSpec
from perception_nodes.inference.runner import RunnerState
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.pipelines.optical_flow import OpticalFlowPipeline
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.segmentation import SegmentationPipeline
from perception_nodes.pipelines.stereo_depth import StereoDepthPipeline
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.pipelines.visual_odometry import VisualOdometryPipeline
from perception_nodes.types import Array, PerceptionError

Answer = Callable[[Mapping[str, Array]], dict[str, Array]]


class MemoryRunner:
    """A Runner whose model is a python function."""

    backend = 'memory'

    def __init__(self, task: str, answer: Answer) -> None:
        masks = (TensorSpec('dropout_masks', 'float32', (-1, 6)),)
        self.card = ModelCard(task, task, inputs=masks if task == 'segmentation' else (),
                              classes=('dark', 'light'), palette=((10, 0, 0), (0, 200, 0)))
        self._answer = answer

    def run(self, inputs: Mapping[str, Array], outputs: Any = None) -> dict[str, Array]:
        """Answer."""
        return self._answer(inputs)

    def state(self) -> RunnerState:
        """Say that it serves."""
        return RunnerState(self.backend)

    def close(self) -> None:
        """Nothing to free."""


def _segmentation(inputs: Mapping[str, Array]) -> dict[str, Array]:
    grey = inputs['image'][..., 0]
    share = grey.astype(np.float32) / np.float32(255)
    zero = np.zeros_like(share)
    return {'labels': (grey > 120).astype(np.uint8), 'confidence': 1 - share / 2,
            'entropy': share, 'mutual_information': zero}


def _stereo(inputs: Mapping[str, Array]) -> dict[str, Array]:
    flat = np.full(inputs['left'].shape[:3], 12.0, np.float32)
    return {'disparity_px': flat, 'sigma_px': flat / 16}


def _flow(inputs: Mapping[str, Array]) -> dict[str, Array]:
    shape = inputs['image1'].shape[:3]
    flow = np.zeros((*shape, 2), np.float32)
    flow[..., 0] = -2.0
    return {'flow_px': flow, 'sigma_px': np.full(shape, 0.25, np.float32)}


@pytest.fixture
def perception() -> Perception:
    """Give four real pipelines, three over small models and odometry, which needs none."""
    return Perception({
        'segmentation': SegmentationPipeline(MemoryRunner('segmentation', _segmentation)),
        'stereo_depth': StereoDepthPipeline(MemoryRunner('stereo_depth', _stereo)),
        'optical_flow': OpticalFlowPipeline(MemoryRunner('optical_flow', _flow)),
        'visual_odometry': VisualOdometryPipeline(),
    })


def _replay(bag_path: Path, out: Path, perception: Perception, **options: Any) -> Replayed:
    perception.reset()
    with open_bag(bag_path) as bag, BagWriter(out) as writer:
        return replay(BagFrames(bag, find_cameras(bag)), perception, writer, **options)


EVERY_FRAME = {
    'segmentation': ('mask', 'confidence', 'uncertainty'),
    'stereo_depth': ('depth/image_rect', 'depth/stddev', 'depth/camera_info', 'disparity'),
    'visual_odometry': ('odometry', 'status'),
}
ALL_BUT_THE_FIRST = {'optical_flow': ('flow', 'flow/stddev', 'flow/interval')}


def test_every_frame_gives_every_topic(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    seen: list[int] = []
    done = _replay(write_bag(stereo(6)), tmp_path / 'out', perception, progress=seen.append)
    assert (done.frames, seen) == (6, [1, 2, 3, 4, 5, 6])
    for expected, topics in ((6, EVERY_FRAME), (5, ALL_BUT_THE_FIRST)):
        for task, names in topics.items():
            for name in names:
                assert done.messages[f'/{task}_node/{name}'] == expected, name
    with open_bag(tmp_path / 'out') as bag:
        assert {n: s.count for n, s in bag.topics().items()} == dict(done.messages)
        stamps = [entry.recorded_ns for entry in bag.messages(['/segmentation_node/mask'])]
    assert stamps == [t for name, t, _ in stereo(6) if name == '/stereo/left/image_rect']
    assert {len(times) for task, times in done.milliseconds.items()} == {6}


def test_two_replays_are_equal_byte_for_byte(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    bag = write_bag(stereo(5))
    first = _replay(bag, tmp_path / 'first', perception, on_demand=True)
    second = _replay(bag, tmp_path / 'second', perception, on_demand=True)
    assert first.digests == second.digests
    assert len(set(first.digests.values())) > 10
    with open_bag(tmp_path / 'first') as one, open_bag(tmp_path / 'second') as two:
        assert list(one.raw_messages()) == list(two.raw_messages())


def test_odometry_moves_as_the_world_does(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    """5 cm to the right a frame is y = -0.05 m a frame in base_link's axes."""
    _replay(write_bag(stereo(5)), tmp_path / 'out', perception)
    with open_bag(tmp_path / 'out') as bag:
        poses = [
            entry.message.pose.pose.position
            for entry in bag.messages(['/visual_odometry_node/odometry'])
        ]
    for frame, position in enumerate(poses):
        assert position.y == pytest.approx(-0.05 * frame, abs=2e-3)
        assert abs(position.x) < 2e-3
        assert abs(position.z) < 2e-3


def test_topics_hold_what_the_pipelines_said(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    path = write_bag(stereo(3))
    _replay(path, tmp_path / 'out', perception)
    perception.reset()
    with open_bag(path) as bag:
        results = [perception(frame) for frame in BagFrames(bag, find_cameras(bag))]
    with open_bag(tmp_path / 'out') as bag:
        for task, names in {**EVERY_FRAME, **ALL_BUT_THE_FIRST}.items():
            by_stamp: dict[int, dict[str, Any]] = {}
            for entry in bag.messages([f'/{task}_node/{name}' for name in names]):
                name = entry.topic.removeprefix(f'/{task}_node/')
                by_stamp.setdefault(entry.recorded_ns, {})[name] = entry.message
            for result in results:
                if (expected := result.get(task)) is None:
                    continue
                parts = by_stamp[expected.stamp_ns]
                found = TASKS[task].implementation.decode(parts)
                field = {'segmentation': 'labels', 'stereo_depth': 'depth_m',
                         'visual_odometry': 'twist', 'optical_flow': 'flow_px'}[task]
                np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))


def test_images_and_clouds_only_on_demand(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    bag = write_bag(stereo(3))
    plain = _replay(bag, tmp_path / 'plain', perception)
    rich = _replay(bag, tmp_path / 'rich', perception, on_demand=True)
    more = {
        '/segmentation_node/overlay', '/stereo_depth_node/points',
        '/optical_flow_node/flow/color', '/visual_odometry_node/path',
    }
    assert rich.messages.keys() - plain.messages.keys() == more
    assert rich.messages['/stereo_depth_node/points'] == 3
    assert rich.messages['/visual_odometry_node/path'] == 1
    with open_bag(tmp_path / 'rich') as opened:
        path = opened.first('/visual_odometry_node/path').message
        stamps = [stamp_ns(pose.header.stamp) for pose in path.poses]
    assert stamps == [t for name, t, _ in stereo(3) if name == '/stereo/left/image_rect']


def test_the_latched_topics_come_once(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    done = _replay(write_bag(stereo(2)), tmp_path / 'out', perception)
    assert done.messages['/segmentation_node/label_info'] == 1
    said = done.infos['segmentation']
    assert said['classes'] == ('dark', 'light') and said['backend'] == 'memory'
    with open_bag(tmp_path / 'out') as bag:
        info = json.loads(bag.first('/segmentation_node/model_info').message.data)
        labels = bag.first('/segmentation_node/label_info').message.class_map
    assert info == json.loads(json.dumps(said))
    assert done.infos['visual_odometry']['name'] == 'none'
    assert [entry.class_name for entry in labels] == ['dark', 'light']


def test_it_stops_where_it_is_told(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    done = _replay(write_bag(stereo(5)), tmp_path / 'out', perception, max_frames=2)
    assert (done.frames, done.messages['/segmentation_node/mask']) == (2, 2)


def test_a_broken_frame_is_left_out(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    entries = stereo(3)
    entries[9][2].step = 1
    done = _replay(write_bag(entries), tmp_path / 'out', perception)
    assert done.frames == 2


def test_a_bag_that_is_broken_leaves_no_bag(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    entries = stereo(3)
    for number in (1, 5, 9):
        entries[number][2].step = 1
    path = write_bag(entries)
    with pytest.raises(PerceptionError, match='step 1 is too small'):
        _replay(path, tmp_path / 'out', perception)
    assert [entry.name for entry in tmp_path.iterdir()] == ['bag']


def test_a_task_that_fails_on_a_frame_costs_that_result(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    """Whatever it raises: the other frames and tasks are there, and it is told."""
    flow = perception.pipelines['optical_flow']
    calls = iter(range(100))

    def fail_once(image: Any) -> Any:
        if next(calls) == 2:
            raise np.linalg.LinAlgError('not positive definite')
        return type(flow).__call__(flow, image)

    pipelines = {**perception.pipelines, 'optical_flow': _Wrapped(flow, fail_once)}
    done = _replay(write_bag(stereo(5)), tmp_path / 'out', Perception(pipelines))
    assert done.frames == 5
    assert done.messages['/segmentation_node/mask'] == 5
    assert done.notes() == (
        'optical_flow failed on 1 of 5 frames, first with: LinAlgError: not positive definite',
    )


def test_a_clock_that_goes_back_begins_anew(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    """How far back is a parameter; flow has no image before the first one of each pass."""
    once = stereo(3)
    again = [(topic, recorded_ns + 10**10, message) for topic, recorded_ns, message in once]
    for jump_s, frames, flows in ((0.1, 6, 4), (1.0, 3, 2)):
        perception.reset()
        path = write_bag([*once, *again], f'bag{jump_s}')
        with open_bag(path) as bag, BagWriter(tmp_path / f'out{jump_s}') as writer:
            done = replay(
                BagFrames(bag, find_cameras(bag), clock_jump_s=jump_s), perception, writer
            )
        assert done.frames == frames
        assert done.messages['/optical_flow_node/flow'] == flows


def test_tasks_that_all_fail_are_an_error(
    write_bag: Any, stereo: Any, tmp_path: Path, perception: Perception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError('nothing')

    pipelines = {
        task: _Wrapped(pipeline, fail) for task, pipeline in perception.pipelines.items()
    }
    with pytest.raises(PerceptionError, match='fails on every frame: ZeroDivisionError: nothing'):
        _replay(write_bag(stereo(3)), tmp_path / 'out', Perception(pipelines))


class _Wrapped:
    """A pipeline that is called otherwise."""

    def __init__(self, pipeline: Any, call: Any) -> None:
        self._pipeline, self._call = pipeline, call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def __call__(self, *inputs: Any, **auxiliary: Any) -> Any:
        return self._call(*inputs, **auxiliary)
