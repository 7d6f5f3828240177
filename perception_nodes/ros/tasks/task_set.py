# SPDX-License-Identifier: Apache-2.0
"""The tasks of a node: their parameters, their inputs, and where their topics lie."""

from dataclasses import dataclass, fields
from typing import Any

from rclpy.node import Node

from perception_nodes.messages.topics import node_name
from perception_nodes.pipelines.build import PIPELINES
from perception_nodes.pipelines.perception import STEREO_TASKS, TASKS
from perception_nodes.ros import parameters
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.input.raw_frame import AuxiliaryInput
from perception_nodes.ros.input.topics import (
    AUXILIARY,
    NEEDS_CAMERA,
    Input,
    auxiliary_inputs,
    image_inputs,
)
from perception_nodes.ros.tasks.interfaces import INTERFACES
from perception_nodes.ros.tasks.mount import MOUNTED, MountConfig
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
    tasks : any of segmentation, stereo_depth, mono_depth, optical_flow, visual_odometry,
        place_recognition.
    """

    tasks: tuple[str, ...] = TASKS

    def __post_init__(self) -> None:
        wrong = [task for task in self.tasks if task not in TASKS]
        if wrong or not self.tasks:
            raise PerceptionError(f'tasks are {", ".join(TASKS)}; not {wrong or "none"}')


@dataclass(frozen=True)
class Settings:
    """What the parameters say, read in configure.

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
        if any(task in MOUNTED for task in self.tasks):
            found[''].append(MountConfig)
        for task in self.tasks:
            prefix = self.parameter_prefix(task)
            classes = [ModelConfig, PIPELINES[task].config]
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
            pipelines[task] = parameters.read(node, PIPELINES[task].config, prefix)
            if task in INTERFACES:
                ros[task] = parameters.read(node, INTERFACES[task].config, prefix)
        mounted = any(task in MOUNTED for task in self.tasks)
        mount = parameters.read(node, MountConfig) if mounted else None
        return Settings(parameters.read(node, NodeConfig), mount, models, pipelines, ros)

    def parameter_names(self) -> set[str]:
        """Every parameter that is declared here."""
        return {
            prefix + field.name for prefix, classes in self.configs().items()
            for config in classes for field in fields(config)
        }

    def parameter_prefix(self, task: str) -> str:
        """'' in the task's own node, 'segmentation.' in perception_node."""
        return '' if self._alone else f'{task}.'

    def topic_prefixes(self) -> dict[str, str]:
        """By task: '~/' in its own node, 'segmentation_node/' in perception_node."""
        return {task: '~/' if self._alone else f'{node_name(task)}/' for task in self.tasks}

    def auxiliary(self, settings: Settings) -> tuple[AuxiliaryInput, ...]:
        """What other nodes may send about the same images."""
        if settings.node.auxiliary_wait_s == 0.0:
            return ()
        found: dict[str, AuxiliaryInput] = {}
        for task in self.tasks:
            if task == 'segmentation' and not settings.pipelines[task].temporal:
                continue
            for entry in AUXILIARY.get(task, ()):
                if entry.task not in self.tasks:
                    found[entry.task] = entry
        return tuple(found.values())

    def inputs(self, settings: Settings) -> tuple[Input, ...]:
        """Every topic to subscribe to."""
        stereo = any(task in STEREO_TASKS for task in self.tasks)
        needs_camera = settings.node.rectify or any(task in NEEDS_CAMERA for task in self.tasks)
        return (
            *image_inputs(stereo, needs_camera, settings.node),
            *auxiliary_inputs(self.auxiliary(settings)),
        )
