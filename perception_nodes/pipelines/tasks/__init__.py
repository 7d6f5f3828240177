# SPDX-License-Identifier: Apache-2.0
"""The tasks of this package, one record each: add a task by one file here and its two lines."""

from collections.abc import Collection
from graphlib import TopologicalSorter

from perception_nodes.errors import ConfigError
from perception_nodes.pipelines.tasks import (
    mono_depth,
    optical_flow,
    place_recognition,
    segmentation,
    stereo_depth,
    visual_odometry,
)
from perception_nodes.pipelines.tasks.task import AuxiliaryInput, Implementation, Task

__all__ = ['TASKS', 'AuxiliaryInput', 'Implementation', 'Task', 'find_task', 'running_order']

# In the order in which people read them.
TASKS: dict[str, Task] = {
    task.name: task for task in (
        segmentation.TASK,
        stereo_depth.TASK,
        mono_depth.TASK,
        optical_flow.TASK,
        visual_odometry.TASK,
        place_recognition.TASK,
    )
}


def find_task(name: str) -> Task:
    """Look up a task.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in TASKS:
        raise ConfigError(f'no task {name!r}; there are {", ".join(TASKS)}')
    return TASKS[name]


def running_order(tasks: Collection[str]) -> tuple[str, ...]:
    """Sort tasks so that each comes after those whose results it takes."""
    graph = {
        name: [take.task for take in task.takes if take.task in tasks]
        for name, task in TASKS.items() if name in tasks
    }
    return tuple(TopologicalSorter(graph).static_order())
