# SPDX-License-Identifier: Apache-2.0
"""How a task is evaluated: alone or fed by other tasks, and with what parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from perception_nodes.evaluation.samples import NEIGHBOURS
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.pipelines.config_values import to_parameter
from perception_nodes.pipelines.mono_depth import MonoDepthConfig
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig
from perception_nodes.pipelines.place_recognition import PlaceRecognitionConfig
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['PROTOCOLS', 'Protocol', 'on_vehicle', 'protocol_config', 'protocol_inputs']

PROTOCOLS = ('benchmark', 'node')

# A benchmark scores every pixel and every image: what a robot would rather not use is not hidden
# from it. (The depth metric clips to the data set's range itself, as the literature does.)
_BENCHMARK_CONFIGS: dict[str, Any] = {
    'mono_depth': MonoDepthConfig(min_depth_m=0.0, max_depth_m=1e4),
    'optical_flow': OpticalFlowConfig(keep_leaving=True),
    'place_recognition': PlaceRecognitionConfig(
        min_similarity=-1.0, recency_s=float(NEIGHBOURS), add_interval_s=0.0, add_similarity=1.0
    ),
}


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
    return _BENCHMARK_CONFIGS.get(task, usual) if name == 'benchmark' else usual


def protocol_inputs(task: str, name: str, running: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the tasks whose results a task is given.

    Parameters
    ----------
    running : tasks that run in any case; empty = all that the task, or its inputs, can take.
    """
    if name == 'benchmark':
        return ()
    inputs: list[str] = []
    for other in TASKS[task].takes:
        if not running or other.task in running:
            inputs += [other.task, *protocol_inputs(other.task, name, running)]
    return tuple(sorted(set(inputs)))


def on_vehicle(config: Any, base_from_camera: FloatArray | None) -> Any:
    """Put the camera where the source says it is, if the task needs to know."""
    if base_from_camera is None or not hasattr(config, 'base_from_camera'):
        return config
    rows = tuple(tuple(float(value) for value in row) for row in base_from_camera)
    return replace(config, base_from_camera=rows)
