# SPDX-License-Identifier: Apache-2.0
"""The six tasks together: what is handed to whom, what is left out."""

import numpy as np
import pytest

from perception_nodes.pipelines.perception import (
    STEREO_TASKS,
    TASKS,
    MonoFrame,
    Perception,
    StereoFrame,
)
from perception_nodes.types import Odometry


class Recorder:
    """A pipeline that answers one thing and keeps its arguments."""

    def __init__(self, answer: object) -> None:
        self.answer, self.calls, self.resets, self.pose_kept = answer, [], 0, False

    def __call__(self, *arguments: object) -> object:
        self.calls.append(arguments)
        return self.answer

    def reset(self, *, keep_pose: bool = False) -> None:
        self.resets += 1
        self.pose_kept = keep_pose


def odometry(tracking: bool = True) -> Odometry:
    six = np.zeros((6, 6))
    return Odometry(0, 'odom', 'base_link', np.eye(4), six, np.zeros(6), six, tracking)


@pytest.fixture
def recorders() -> dict[str, Recorder]:
    answers = {task: f'result of {task}' for task in TASKS}
    return {task: Recorder(answers[task]) for task in TASKS} | {
        'visual_odometry': Recorder(odometry())
    }


def test_every_result_goes_where_it_helps(recorders, image, rig):
    left, right = image(5), image(5, seed=1)
    results = Perception(**recorders)(StereoFrame(left, right, rig))
    calls = {task: recorder.calls for task, recorder in recorders.items()}
    assert calls['optical_flow'] == [(left,)]
    assert calls['segmentation'] == [(left, 'result of optical_flow')]
    assert calls['stereo_depth'] == [(left, right, rig)]
    assert calls['mono_depth'] == [(left, rig.left)]
    assert calls['visual_odometry'] == [
        (left, right, rig, 'result of stereo_depth', 'result of segmentation')
    ]
    place_image, camera, depth, pose = calls['place_recognition'][0]
    assert place_image is left and camera is rig.left and depth == 'result of stereo_depth'
    assert (pose == np.eye(4)).all()
    for task in TASKS:
        assert getattr(results, task) is recorders[task].answer
    assert results.stamp_ns == 5


def test_one_camera_leaves_the_stereo_tasks_out(recorders, image, rig):
    results = Perception(**recorders)(MonoFrame(image(5), rig.left))
    for task in STEREO_TASKS:
        assert not recorders[task].calls and getattr(results, task) is None
    assert recorders['place_recognition'].calls[0][2:] == (None, None)
    assert results.mono_depth == 'result of mono_depth'


def test_what_is_not_wanted_is_not_run(recorders, image, rig):
    perception = Perception(**recorders)
    results = perception(StereoFrame(image(), image(), rig), wanted=('segmentation',))
    assert results.segmentation == 'result of segmentation'
    assert recorders['segmentation'].calls[0][1] is None
    assert not any(recorders[task].calls for task in TASKS if task != 'segmentation')


def test_a_lost_odometry_gives_no_pose_to_place_recognition(recorders, image, rig):
    recorders['visual_odometry'].answer = odometry(tracking=False)
    Perception(**recorders)(StereoFrame(image(), image(), rig))
    assert recorders['place_recognition'].calls[0][3] is None


def test_any_subset_runs_and_resets(recorders, image, rig):
    perception = Perception(optical_flow=recorders['optical_flow'])
    assert perception.tasks == ('optical_flow',)
    assert perception(StereoFrame(image(), image(), rig)).segmentation is None
    perception.reset()
    assert recorders['optical_flow'].resets == 1 and recorders['segmentation'].resets == 0


class Refuses(Recorder):
    """A pipeline that cannot."""

    def __call__(self, *arguments: object) -> object:
        super().__call__(*arguments)
        raise ValueError(self.answer)


@pytest.mark.parametrize('task', TASKS)
def test_a_task_that_fails_leaves_the_others_their_frame(recorders, image, rig, task):
    recorders[task] = Refuses('no')
    told = []
    results = Perception(**recorders)(
        StereoFrame(image(), image(), rig), failed=lambda *what: told.append(what)
    )
    (name, error), = told
    assert name == task and str(error) == 'no' and isinstance(error, ValueError)
    for other in TASKS:
        assert getattr(results, other) is (None if other == task else recorders[other].answer)
    given = {other: recorder.calls[0] for other, recorder in recorders.items()}
    assert given['segmentation'][1] is results.optical_flow
    assert given['visual_odometry'][3:] == (results.stereo_depth, results.segmentation)
    assert given['place_recognition'][2] is results.stereo_depth


def test_a_task_that_fails_is_an_error_where_nobody_is_told(recorders, image, rig):
    recorders['mono_depth'] = Refuses('no')
    with pytest.raises(ValueError, match='no'):
        Perception(**recorders)(StereoFrame(image(), image(), rig))


def test_what_odometry_answers_to_a_late_frame_is_not_said_again(recorders, image, rig):
    newest = Odometry(9, 'odom', 'base_link', np.eye(4), np.eye(6), np.zeros(6), np.eye(6))
    recorders['visual_odometry'].answer = newest
    frame = StereoFrame(image(5), image(5, seed=1), rig)
    results = Perception(**recorders)(frame)
    assert results.visual_odometry is None
    assert recorders['place_recognition'].calls[0][3] is None


def test_reset_tells_odometry_and_places_whether_the_pose_is_kept(recorders):
    Perception(**recorders).reset(keep_pose=True)
    assert all(recorder.resets == 1 for recorder in recorders.values())
    keeping = {task for task, recorder in recorders.items() if recorder.pose_kept}
    assert keeping == {'visual_odometry', 'place_recognition'}
