# SPDX-License-Identifier: Apache-2.0
"""How a task is evaluated: alone or fed by other tasks, and with what parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.pipelines.config_values import to_parameter
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['PROTOCOLS', 'Protocol', 'on_vehicle', 'protocol_config', 'protocol_inputs']

PROTOCOLS = ('benchmark', 'node')


@dataclass(frozen=True)
class Protocol:
    """What a reader must know to get the same numbers, beside data and model.

    Attributes
    ----------
    name : 'benchmark' (the task alone, every pixel and frame answered) or 'node' (the node's
        parameters, fed by the other tasks as in perception_node and replay).
    inputs : tasks whose results the task was given.
    config : parameters that differ from the node's.
    predictions : 'results' (the pipelines' own) or 'topics' (read back from a bag: confidence in
        steps of 1/255, no sigma of disparity where depth is NaN).
    alignment : of trajectories.
    """

    name: str
    inputs: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    predictions: str = 'results'
    alignment: Alignment | None = None

    def content(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        return {
            'name': self.name, 'inputs': list(self.inputs), 'config': dict(self.config),
            'predictions': self.predictions,
            **({'alignment': str(self.alignment)} if self.alignment else {}),
        }

    @staticmethod
    def of(
        task: str, name: str, inputs: tuple[str, ...], config: Any, *,
        predictions: str = 'results', alignment: Alignment | None = None,
    ) -> 'Protocol':
        """Describe how a task with this config is run."""
        usual = TASKS[task].config()
        changed = {
            entry.name: to_parameter(getattr(config, entry.name)) for entry in fields(usual)
            if entry.name != 'base_from_camera'
            and getattr(config, entry.name) != getattr(usual, entry.name)
        }
        if task == 'visual_odometry':
            alignment = alignment or Alignment()
        return Protocol(name, inputs, MappingProxyType(changed), predictions, alignment)


def protocol_config(task: str, name: str) -> Any:
    """Return the config of a task under a protocol, before parameters are changed.

    Raises
    ------
    PerceptionError
        If there is no such protocol.
    """
    if name not in PROTOCOLS:
        raise PerceptionError(f'no protocol {name!r}; there are {", ".join(PROTOCOLS)}')
    usual = TASKS[task].config()
    return replace(usual, **SCORERS[task].benchmark) if name == 'benchmark' else usual


def protocol_inputs(
    task: str, config: Any, running: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Return the tasks whose results a task is given under the protocol 'node'.

    Parameters
    ----------
    config : of the task: it may switch inputs off.
    running : configs of the tasks that run, by task; None = all that the task can take would.
    """
    inputs: set[str] = set()
    for take in TASKS[task].takes:
        if take.used(config) and (running is None or take.task in running):
            other = TASKS[take.task].config() if running is None else running[take.task]
            inputs |= {take.task, *protocol_inputs(take.task, other, running)}
    return tuple(sorted(inputs))


def on_vehicle(config: Any, base_from_camera: FloatArray | None) -> Any:
    """Set the camera's mount from the source, if the task needs it."""
    if base_from_camera is None or not hasattr(config, 'base_from_camera'):
        return config
    rows = tuple(tuple(float(value) for value in row) for row in base_from_camera)
    return replace(config, base_from_camera=rows)
