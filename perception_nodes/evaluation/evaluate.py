# SPDX-License-Identifier: Apache-2.0
"""Evaluate a task on a data set or a bag, classical baselines beside it.

The result is what ``perception evaluate --json`` writes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perception_nodes.evaluation.baselines import BASELINES
from perception_nodes.evaluation.baselines.two_way_flow import TwoWayFlowPipeline
from perception_nodes.evaluation.method import MethodResult, Progress, run_method
from perception_nodes.evaluation.protocol import (
    Protocol,
    on_vehicle,
    protocol_config,
    protocol_inputs,
)
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers import SCORERS, Scorer
from perception_nodes.evaluation.sources import open_source
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.pipelines.build import NO_MODEL, build_pipeline
from perception_nodes.pipelines.config_values import changed
from perception_nodes.pipelines.pipeline import Pipeline
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError

__all__ = ['Evaluation', 'baselines_of', 'evaluate']


@dataclass(frozen=True)
class Evaluation:
    """A task evaluated on a data set; ``ours`` first, then the baselines.

    Attributes
    ----------
    parameters : that were not left as they are, by name.
    """

    task: str
    dataset: str
    root: Path
    split: str | None
    model: str
    parameters: dict[str, str]
    protocol: Protocol
    ours: MethodResult
    baselines: tuple[MethodResult, ...]
    scorer: Scorer
    source: Source

    def result(self) -> dict[str, Any]:
        """Return what goes into the JSON file; a metric that has no value is left out."""
        return {
            'task': self.task,
            'dataset': self.dataset,
            'split': self.split,
            'model': self.model,
            'backend': self.ours.backend,
            'frames': len(self.ours.frame_values),
            'metrics': self.ours.metrics,
            'peers': {
                baseline.name: {
                    **baseline.metrics,
                    **{f'ms_{name}': value for name, value in baseline.ms_per_frame.items()},
                }
                for baseline in self.baselines
            },
            'ms_per_frame': self.ours.ms_per_frame,
            'protocol': self.protocol.content(),
            **({'parameters': self.parameters} if self.parameters else {}),
            **({'notes': list(self.notes)} if self.notes else {}),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What was damaged or left out of a bag."""
        return getattr(self.source.samples, 'notes', ())


def evaluate(
    task: str,
    dataset: str,
    root: Path,
    *,
    split: str | None = None,
    model: str | Path | None = None,
    backend: str = 'auto',
    precision: str = 'fp16',
    threads: int = 0,
    config: Any | None = None,
    parameters: Mapping[str, str] = MappingProxyType({}),
    baselines: Collection[str] = (),
    protocol: str = 'benchmark',
    alignment: Alignment | None = None,
    details: bool = False,
    progress: Progress = lambda method, done, total: None,
) -> Evaluation:
    """Evaluate a task's released pipeline, and baselines on the same frames.

    Parameters
    ----------
    task, dataset : see :mod:`perception_nodes.evaluation.sources`.
    root : folder of the data set, or a bag.
    split : of data sets that have splits; None = the usual one for validation.
    model, backend, precision, threads : as ``pipelines.build.build_pipeline`` takes them.
    config : the task's config; None = that of the protocol.
    parameters : fields of it to change, by name: YAML texts. The baselines keep theirs.
    baselines : names out of ``baselines_of(task)``.
    protocol : 'benchmark' or 'node', see :class:`Protocol`.
    alignment : of trajectories; None = a rigid fit over all poses.
    details : also keep images of single frames, for a report.
    progress : called with (method, frames done, frames).

    Raises
    ------
    PerceptionError
        If a name is unknown, a parameter is wrong, the data cannot be read or the model cannot be
        loaded.
    """
    source = open_source(task, dataset, root, split)
    if alignment is not None:
        source = replace(source, settings={**source.settings, 'alignment': alignment})
    known_baselines = baselines_of(task)
    unknown = sorted(set(baselines) - set(known_baselines))
    if unknown:
        raise PerceptionError(
            f"no baseline '{unknown[0]}' of {task}; "
            f"there are: {', '.join(known_baselines) or 'none'}"
        )
    usual = protocol_config(task, protocol) if config is None else config
    config = changed(on_vehicle(usual, source.base_from_camera), parameters)
    if model is None and getattr(config, 'front_end', 'learned') != 'learned':
        model = NO_MODEL
    build = partial(build_pipeline, backend=backend, precision=precision, threads=threads)
    pipeline = build(task, model=model, config=config)
    inputs = {
        other: build(
            other, config=on_vehicle(protocol_config(other, protocol), source.base_from_camera)
        )
        for other in (protocol_inputs(task, config) if protocol == 'node' else ())
    }
    scorer = SCORERS[task](source, _card(pipeline))
    methods = [
        run_method(name, task, method, inputs, scorer, source, details, progress)
        for name, method in (
            ('ours', pipeline),
            *((name, _baseline(task, name, source, protocol)) for name in known_baselines
              if name in baselines),
        )
    ]
    return Evaluation(
        task, dataset, Path(root), split or ('val' if dataset == 'camvid' else None),
        str(model or TASKS[task].model or NO_MODEL), dict(parameters),
        Protocol.of(task, protocol, tuple(inputs), config, alignment=alignment),
        methods[0], tuple(methods[1:]), scorer, source,
    )  # fmt: skip


def baselines_of(task: str) -> tuple[str, ...]:
    """Names of the classical methods that a task is measured against."""
    return tuple(BASELINES.get(task, {}))


def _card(pipeline: Pipeline) -> dict[str, Any]:
    """Classes and palette of a pipeline's model."""
    if not pipeline.runners:
        return {}
    card = pipeline.runners[0].card
    return {'classes': card.classes, 'palette': card.palette}


def _baseline(task: str, name: str, source: Source, protocol: str) -> Any:
    """Make a baseline with the protocol's parameters that knows where the camera is."""
    baseline = BASELINES[task][name]()
    if isinstance(baseline, TwoWayFlowPipeline):
        baseline.config = protocol_config(task, protocol)
    elif task == 'place_recognition':
        baseline = type(baseline)(protocol_config(task, protocol))
    elif source.base_from_camera is not None:
        baseline = type(baseline)(on_vehicle(baseline.config, source.base_from_camera))
    return baseline
