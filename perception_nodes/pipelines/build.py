# SPDX-License-Identifier: Apache-2.0
"""From a task's name to its pipeline with a loaded model: what nodes, replay and bench call."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perception_nodes.inference import Runner, open_runner
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.pipeline import NO_MODEL, OpenModel, Pipeline
from perception_nodes.pipelines.tasks import find_task
from perception_nodes.types import PerceptionError

__all__ = ['NO_MODEL', 'build_perception', 'build_pipeline', 'model_info', 'model_infos']


def build_pipeline(
    task: str, *, model: str | Path | None = None, config: Any = None, backend: str = 'auto',
    precision: str = 'fp16', threads: int = 0,
) -> Pipeline:
    """Load a task's model and make its pipeline.

    Parameters
    ----------
    task : key of TASKS.
    model : released name or path; None = the task's own; 'none' = visual odometry without one.
    config : the task's config dataclass; None = its defaults.
    backend, precision, threads : as ``inference.open_runner`` takes them.

    Raises
    ------
    PerceptionError
        If the task is unknown, the config is another task's, or the model cannot be loaded.
    """
    return _build(task, model, config, _offline(backend, precision, threads))


def build_perception(
    configs: Mapping[str, Any], *, models: Mapping[str, str | Path] = MappingProxyType({}),
    backend: str = 'auto', precision: str = 'fp16', threads: int = 0,
    open_model: OpenModel | None = None,
) -> Perception:
    """Make several tasks' pipelines for one stream of frames.

    Parameters
    ----------
    configs : a config (or None for the defaults) for each wanted task.
    models : other models than the tasks' own; '' = the task's own.
    open_model : opens a model, instead of backend, precision and threads.

    Raises
    ------
    PerceptionError
        As ``build_pipeline``; the models that were opened before are closed.
    """
    opened: list[Runner] = []
    open_one = open_model or _offline(backend, precision, threads)

    def open_model_once_more(model: str | Path) -> Runner:
        opened.append(open_one(model))
        return opened[-1]

    try:
        return Perception({
            task: _build(task, models.get(task), config, open_model_once_more)
            for task, config in configs.items()
        })
    except BaseException:
        for runner in opened:
            runner.close()
        raise


def model_info(task: str, runners: Sequence[Runner]) -> dict[str, Any]:
    """What ``~/model_info`` holds: card, backend and engine of a task's models, ready for JSON.

    Parameters
    ----------
    runners : of the task's pipeline, its own model first.
    """
    infos = [
        {
            **asdict(runner.card), 'backend': runner.backend,
            'engine_key': runner.state().engine_key,
        }
        for runner in runners
    ]
    own, *others = infos or [{'task': task, 'name': 'none', 'summary': 'no learned model'}]
    return {**own, **({'other_models': others} if others else {})}


def model_infos(perception: Perception) -> dict[str, dict[str, Any]]:
    """``model_info`` of every task, as it is now."""
    return {
        task: model_info(task, perception.pipelines[task].runners) for task in perception.tasks
    }


def _build(
    name: str, model: str | Path | None, config: Any, open_model: OpenModel
) -> Pipeline:
    task = find_task(name)
    config = task.config() if config is None else config
    if not isinstance(config, task.config):
        raise PerceptionError(
            f'{name} takes a {task.config.__name__}, not a {type(config).__name__}'
        )
    return task.implementation.build(open_model, model or task.model, config)


def _offline(backend: str, precision: str, threads: int) -> OpenModel:
    """Open models so that every frame is answered by one and the same backend: results repeat."""
    return partial(open_runner, backend=backend, precision=precision, threads=threads, wait=True)
