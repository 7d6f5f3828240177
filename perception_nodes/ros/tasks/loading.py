# SPDX-License-Identifier: Apache-2.0
"""Pipelines with their models, as a node holds them between configure and cleanup."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from perception_nodes.inference import Runner, open_runner
from perception_nodes.inference.runner import RunnerState
from perception_nodes.pipelines.build import build_perception
from perception_nodes.pipelines.perception import Perception
from perception_nodes.ros.config import NodeConfig


@dataclass
class Loaded:
    """What runs.

    Attributes
    ----------
    perception : the pipelines. It is replaced, never changed, when one of them is made anew.
    runners : every opened model, by task and its place there ('place_recognition/features').
    """

    perception: Perception
    runners: dict[str, Runner]

    def states(self) -> dict[str, RunnerState]:
        """How each model is doing."""
        return {name: runner.state() for name, runner in self.runners.items()}

    def figures(self) -> dict[str, str]:
        """Limits of the pipelines, for diagnostics."""
        nearest_m = getattr(self.perception.pipelines.get('stereo_depth'), 'nearest_m', None)
        return {} if nearest_m is None else {'stereo_depth sees from': f'{nearest_m:.3g} m on'}

    def close(self) -> None:
        """Free the models."""
        for runner in self.runners.values():
            runner.close()
        self.runners.clear()


def load(models: Mapping[str, str], configs: Mapping[str, Any], node: NodeConfig) -> Loaded:
    """Open the models of some tasks and make their pipelines.

    Parameters
    ----------
    models : by task, name or path of the model, '' = the task's own.
    configs : by task, its pipeline's config.

    Raises
    ------
    PerceptionError
        If a model cannot be loaded; what was opened before it is closed.
    """
    perception = build_perception(configs, models=models, open_model=partial(
        open_runner, backend=node.backend, precision=node.precision, threads=node.threads,
        spinning=node.spinning, engine_dir=node.engine_dir, gpu=node.gpu,
        memory_limit_mb=node.memory_limit_mb,
    ))
    return Loaded(perception, perception.runners)
