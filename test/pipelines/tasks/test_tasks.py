# SPDX-License-Identifier: Apache-2.0
"""The records of all tasks: complete, consistent with what they name, and light."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from perception_nodes.errors import ConfigError
from perception_nodes.pipelines.config_values import to_parameter
from perception_nodes.pipelines.tasks import TASKS, Task, find_task, running_order
from perception_nodes.pipelines.tasks.describe import document
from perception_nodes.types import PerceptionError

DOCS = Path(__file__).resolve().parents[3] / 'docs'


@pytest.mark.parametrize('task', TASKS.values(), ids=lambda task: task.name)
def test_what_a_task_takes_is_there_to_be_taken(task: Task) -> None:
    names = [topic for take in task.takes for topic in take.topics]
    assert len(names) == len(set(names)), 'two inputs of one name'
    for take in task.takes:
        feeder = TASKS[take.task]
        assert set(take.topics) <= {topic.name for topic in feeder.topics}
        assert set(feeder.implementation.required) <= set(take.topics)
        assert (feeder.implementation.between is not None) or not take.by_time
        assert not take.when or isinstance(getattr(task.config(), take.when), bool)
    assert task.auxiliary_remappings('/').keys() == set(names)


@pytest.mark.parametrize('task', TASKS.values(), ids=lambda task: task.name)
def test_a_result_that_is_read_back_has_its_topics(task: Task) -> None:
    implementation = task.implementation
    assert (implementation.decode is None) == (not implementation.required)
    assert set(implementation.required) <= {topic.name for topic in task.topics}
    for value in vars(task.config()).values():
        to_parameter(value)


def test_pipelines_take_what_the_records_pass(memory_runner) -> None:
    """Each keyword of a record is a parameter of the pipeline's call that may be left out."""
    for task in TASKS.values():
        pipeline = task.implementation.build(
            lambda model: memory_runner(model, dict), task.model, task.config()
        )
        parameters = inspect.signature(pipeline).parameters
        for take in task.takes:
            assert parameters[take.argument].default is None
        assert pipeline.config == task.config()
        assert all(runner.card.name for runner in pipeline.runners)


def test_every_task_runs_after_those_that_it_takes_from() -> None:
    order = running_order(TASKS)
    assert sorted(order) == sorted(TASKS)
    for name, task in TASKS.items():
        assert all(order.index(take.task) < order.index(name) for take in task.takes)
    assert running_order(('visual_odometry', 'optical_flow')) in (
        ('optical_flow', 'visual_odometry'), ('visual_odometry', 'optical_flow')
    )


def test_choices_come_without_a_backend_or_opencv() -> None:
    """In a process of its own: what ``perception --help`` and launch files import."""
    heavy = ('cv2', 'onnxruntime', 'matplotlib', 'scipy', 'rclpy', 'torch')
    code = (
        'import sys; from perception_nodes.pipelines.tasks import TASKS; '
        f'print(list(TASKS), [name for name in {heavy} if name in sys.modules])'
    )
    told = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    assert told == f'{list(TASKS)} []\n'


def test_a_record_that_cannot_be_is_refused() -> None:
    with pytest.raises(PerceptionError, match='lower_case'):
        Task('Radar', '', TASKS['segmentation'].load)
    with pytest.raises(PerceptionError, match='takes 3 cameras'):
        Task('radar', '', TASKS['segmentation'].load, cameras=3)
    with pytest.raises(ConfigError, match=r"no task 'radar'; there are segmentation, "):
        find_task('radar')


def test_the_document_is_that_of_the_records() -> None:
    assert (DOCS / 'tasks.md').read_text() == document(), 'docs/tasks.md is old: make docs'
