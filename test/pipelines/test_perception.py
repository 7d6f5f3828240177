# SPDX-License-Identifier: Apache-2.0
"""The six tasks together: what is handed to whom, what is left out."""

from typing import NamedTuple

import numpy as np
import pytest

from perception_nodes.pipelines.perception import MonoFrame, Perception, StereoFrame
from perception_nodes.pipelines.tasks import TASKS, AuxiliaryInput, Task
from perception_nodes.types import Odometry, PerceptionError


class Said(NamedTuple):
    """What stands for a result."""

    task: str
    stamp_ns: int = 0


class Recorder:
    """A pipeline that answers one thing and keeps what it is called with."""

    runners = ()

    def __init__(self, answer: object, config: object = None) -> None:
        self.answer, self.config = answer, config
        self.calls, self.auxiliary, self.resets, self.pose_kept = [], [], 0, False

    def __call__(self, *inputs: object, **auxiliary: object) -> object:
        self.calls.append(inputs)
        self.auxiliary.append(auxiliary)
        return self.answer

    def reset(self, *, keep_pose: bool = False) -> None:
        self.resets += 1
        self.pose_kept = keep_pose


def odometry(tracking: bool = True) -> Odometry:
    six = np.zeros((6, 6))
    return Odometry(0, 'odom', 'base_link', np.eye(4), six, np.zeros(6), six, tracking)


@pytest.fixture
def recorders() -> dict[str, Recorder]:
    answers = {task: Said(task) for task in TASKS}
    return {task: Recorder(answers[task], TASKS[task].config()) for task in TASKS} | {
        'visual_odometry': Recorder(odometry())
    }


def test_every_result_goes_where_it_helps(recorders, image, rig):
    left, right = image(5), image(5, seed=1)
    results = Perception(recorders)(StereoFrame(left, right, rig))
    calls = {task: recorder.calls for task, recorder in recorders.items()}
    assert calls['optical_flow'] == [(left,)]
    assert calls['segmentation'] == [(left,)]
    assert recorders['segmentation'].auxiliary == [{'flow': Said('optical_flow')}]
    assert calls['stereo_depth'] == [(left, right, rig)]
    assert calls['mono_depth'] == [(left, rig.left)]
    assert calls['visual_odometry'] == [(left, right, rig)]
    assert recorders['visual_odometry'].auxiliary == [
        {'depth': Said('stereo_depth'), 'segmentation': Said('segmentation')}
    ]
    assert calls['place_recognition'] == [(left, rig.left)]
    auxiliary, = recorders['place_recognition'].auxiliary
    assert auxiliary['depth'] == Said('stereo_depth')
    assert (auxiliary['odom_from_base'] == np.eye(4)).all()
    assert results == {task: recorders[task].answer for task in TASKS}


def test_one_camera_leaves_the_stereo_tasks_out(recorders, image, rig):
    results = Perception(recorders)(MonoFrame(image(5), rig.left))
    stereo = {name for name, task in TASKS.items() if task.stereo}
    assert stereo == {'stereo_depth', 'visual_odometry'}
    assert not any(recorders[task].calls for task in stereo)
    assert recorders['place_recognition'].auxiliary == [{}]
    assert set(results) == set(TASKS) - stereo


def test_what_is_not_wanted_is_not_run(recorders, image, rig):
    perception = Perception(recorders)
    results = perception(StereoFrame(image(), image(), rig), wanted=('segmentation',))
    assert results == {'segmentation': Said('segmentation')}
    assert recorders['segmentation'].auxiliary == [{}]
    assert not any(recorders[task].calls for task in TASKS if task != 'segmentation')


def test_a_lost_odometry_gives_no_pose_to_place_recognition(recorders, image, rig):
    recorders['visual_odometry'].answer = odometry(tracking=False)
    Perception(recorders)(StereoFrame(image(), image(), rig))
    assert recorders['place_recognition'].auxiliary[0]['odom_from_base'] is None


def test_any_subset_runs_and_resets(recorders, image, rig):
    perception = Perception({'optical_flow': recorders['optical_flow']})
    assert perception.tasks == ('optical_flow',)
    assert set(perception(StereoFrame(image(), image(), rig))) == {'optical_flow'}
    perception.reset()
    assert recorders['optical_flow'].resets == 1 and recorders['segmentation'].resets == 0


class Refuses(Recorder):
    """A pipeline that cannot."""

    def __call__(self, *inputs: object, **auxiliary: object) -> object:
        super().__call__(*inputs, **auxiliary)
        raise ValueError(self.answer)


@pytest.mark.parametrize('task', TASKS)
def test_a_task_that_fails_leaves_the_others_their_frame(recorders, image, rig, task):
    recorders[task] = Refuses('no')
    told = []
    results = Perception(recorders)(
        StereoFrame(image(), image(), rig), failed=lambda *what: told.append(what)
    )
    (name, error), = told
    assert name == task and str(error) == 'no' and isinstance(error, ValueError)
    assert results == {
        other: recorders[other].answer for other in TASKS if other != task
    }
    for other, recorder in recorders.items():
        taken = {take.argument for take in TASKS[other].takes if take.task != task}
        assert recorder.auxiliary[0].keys() == taken


def test_a_task_that_fails_is_an_error_where_nobody_is_told(recorders, image, rig):
    recorders['mono_depth'] = Refuses('no')
    with pytest.raises(ValueError, match='no'):
        Perception(recorders)(StereoFrame(image(), image(), rig))


def test_what_others_made_helps_where_the_task_is_not_run_here(recorders, image, rig):
    perception = Perception({'visual_odometry': recorders['visual_odometry']})
    results = perception(
        StereoFrame(image(), image(), rig), given={'stereo_depth': 'theirs', 'mono_depth': 'no'}
    )
    assert recorders['visual_odometry'].auxiliary == [{'depth': 'theirs'}]
    assert set(results) == {'visual_odometry'}


def test_the_flow_is_needed_only_where_smoothing_is_on(recorders):
    tasks = ('segmentation', 'optical_flow')
    perception = Perception({task: recorders[task] for task in tasks})
    assert perception.needed_for({'segmentation'}) == {'segmentation'}
    recorders['segmentation'].config = TASKS['segmentation'].config(temporal=True)
    assert perception.needed_for({'segmentation'}) == set(tasks)
    assert perception.needed_for(()) == set()


def test_what_remembers_is_always_needed_with_what_it_takes(recorders):
    assert Perception(recorders).needed_for(()) == {
        'visual_odometry', 'place_recognition', 'stereo_depth', 'segmentation'
    }


def test_a_task_without_a_camera_runs_on_the_results_of_others(
    monkeypatch, recorders, image, rig
):
    fused = Task(
        'obstacles', 'depth and mask together', lambda: pytest.fail('not needed'), cameras=0,
        takes=(AuxiliaryInput('stereo_depth', 'depth', ('depth/image_rect',)),),
    )
    monkeypatch.setitem(TASKS, 'obstacles', fused)
    monkeypatch.setitem(
        TASKS, 'map_server', Task('map_server', 'serves', lambda: pytest.fail('no'), cameras=0)
    )
    extra = {'obstacles': Recorder(Said('obstacles')), 'map_server': Recorder('never')}
    perception = Perception(recorders | extra)
    assert perception(StereoFrame(image(7), image(7), rig))['obstacles'] == Said('obstacles')
    assert extra['obstacles'].calls == [(7,)]
    assert extra['obstacles'].auxiliary == [{'depth': Said('stereo_depth')}]
    assert 'obstacles' not in perception(MonoFrame(image(8), rig.left))
    assert not extra['map_server'].calls


def test_an_unknown_task_is_refused(recorders):
    with pytest.raises(PerceptionError, match=r"no task 'radar'; there are segmentation, "):
        Perception({'radar': recorders['segmentation']})


def test_what_odometry_answers_to_a_late_frame_is_not_said_again(recorders, image, rig):
    newest = Odometry(9, 'odom', 'base_link', np.eye(4), np.eye(6), np.zeros(6), np.eye(6))
    recorders['visual_odometry'].answer = newest
    frame = StereoFrame(image(5), image(5, seed=1), rig)
    results = Perception(recorders)(frame)
    assert 'visual_odometry' not in results
    assert 'odom_from_base' not in recorders['place_recognition'].auxiliary[0]


def test_reset_tells_odometry_and_places_whether_the_pose_is_kept(recorders):
    Perception(recorders).reset(keep_pose=True)
    assert all(recorder.resets == 1 for recorder in recorders.values())
    keeping = {task for task, recorder in recorders.items() if recorder.pose_kept}
    assert keeping == {'visual_odometry', 'place_recognition'}
