# SPDX-License-Identifier: Apache-2.0
"""The tasks of a node: their parameters, their inputs, and where their topics lie."""

from dataclasses import dataclass, field, fields
from typing import Any

from rclpy.node import Node

from perception_nodes.pipelines.tasks import TASKS, AuxiliaryInput
from perception_nodes.ros import parameters
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.input.topics import Input, auxiliary_inputs, image_inputs
from perception_nodes.ros.tasks.interfaces import INTERFACES
from perception_nodes.ros.tasks.mount import MountConfig
from perception_nodes.types import PerceptionError

# May change at any time; the others are read in configure.
LIVE = ('map_path',)


@dataclass(frozen=True)
class ModelConfig:
    """Which model a task runs.

    Attributes
    ----------
    model : released name or path to an ONNX file with its card; '' = the task's own, none = no
        learned model where a task can do without.
    """

    model: str = ''


@dataclass(frozen=True)
class TasksConfig:
    """What perception_node runs.

    Attributes
    ----------
    tasks : names of the tasks that run.
    """

    tasks: tuple[str, ...] = field(default_factory=lambda: tuple(TASKS))

    def __post_init__(self) -> None:
        wrong = [task for task in self.tasks if task not in TASKS]
        if wrong or not self.tasks:
            raise PerceptionError(f'tasks are {", ".join(TASKS)}; not {wrong or "none"}')


@dataclass(frozen=True)
class Settings:
    """Settings from the parameters, read in configure.

    Attributes
    ----------
    mount : None if no task cares where the camera sits.
    models, pipelines : by task. ros : by task, of those with an interface.
    """

    node: NodeConfig
    mount: MountConfig | None
    models: dict[str, str]
    pipelines: dict[str, Any]
    ros: dict[str, Any]


class TaskSet:
    """The tasks of one node.

    Parameters
    ----------
    tasks : names. alone : whether the node is that one task's own; its parameters and topics then
        have no prefix.
    """

    def __init__(self, tasks: tuple[str, ...], alone: bool) -> None:
        self.tasks = tuple(task for task in TASKS if task in tasks)
        self._alone = alone

    def configs(self) -> dict[str, list[type[Any]]]:
        """Config classes by the prefix of their parameters."""
        found: dict[str, list[type[Any]]] = {'': [NodeConfig]}
        if self._mounted:
            found[''].append(MountConfig)
        for task in self.tasks:
            prefix = self.parameter_prefix(task)
            classes: list[type[Any]] = [ModelConfig, TASKS[task].config]
            if task in INTERFACES:
                classes.append(INTERFACES[task].config)
            found[prefix] = [*found.get(prefix, []), *classes]
        return found

    def declare(self, node: Node) -> None:
        """Declare every parameter; PerceptionError if one was given with a wrong type."""
        for prefix, classes in self.configs().items():
            for config in classes:
                parameters.declare(node, config(), prefix)

    def read(self, node: Node) -> Settings:
        """Read every parameter; PerceptionError if a config refuses its values."""
        models, pipelines, ros = {}, {}, {}
        for task in self.tasks:
            prefix = self.parameter_prefix(task)
            models[task] = parameters.read(node, ModelConfig, prefix).model
            pipelines[task] = parameters.read(node, TASKS[task].config, prefix)
            if task in INTERFACES:
                ros[task] = parameters.read(node, INTERFACES[task].config, prefix)
        mount = parameters.read(node, MountConfig) if self._mounted else None
        return Settings(parameters.read(node, NodeConfig), mount, models, pipelines, ros)

    def parameter_names(self) -> set[str]:
        """Every parameter that is declared here."""
        return {
            prefix + entry.name for prefix, classes in self.configs().items()
            for config in classes for entry in fields(config)
        }

    def parameter_prefix(self, task: str) -> str:
        """'' in the task's own node, 'segmentation.' in perception_node."""
        return '' if self._alone else f'{task}.'

    def topic_prefixes(self) -> dict[str, str]:
        """By task: '~/' in its own node, 'segmentation_node/' in perception_node."""
        return {task: '~/' if self._alone else f'{TASKS[task].node}/' for task in self.tasks}

    def auxiliary(self, settings: Settings) -> tuple[AuxiliaryInput, ...]:
        """What other nodes may send about the same images."""
        if settings.node.auxiliary_wait_s == 0.0:
            return ()
        found: dict[str, AuxiliaryInput] = {}
        for task in self.tasks:
            for entry in TASKS[task].takes:
                if entry.task not in self.tasks and entry.used(settings.pipelines[task]):
                    found[entry.task] = entry
        return tuple(found.values())

    def inputs(self, settings: Settings) -> tuple[Input, ...]:
        """Every topic to subscribe to."""
        tasks = [TASKS[task] for task in self.tasks]
        stereo = any(task.stereo for task in tasks)
        needs_camera = settings.node.rectify or any(task.needs_camera for task in tasks)
        return (
            *image_inputs(stereo, needs_camera, settings.node),
            *auxiliary_inputs(self.auxiliary(settings)),
        )

    @property
    def _mounted(self) -> bool:
        """Whether a task wants to know where the camera sits."""
        return any(TASKS[task].mounted for task in self.tasks)
