# SPDX-License-Identifier: Apache-2.0
"""Evaluate a task on a data set: one loop predicts, one scores; classical baselines beside it.

The result is what ``perception evaluate --json`` writes.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from perception_nodes.evaluation.baselines import BASELINES
from perception_nodes.evaluation.baselines.two_way_flow import TwoWayFlowPipeline
from perception_nodes.evaluation.predictions import Predictions
from perception_nodes.evaluation.report_parts import ReportImage
from perception_nodes.evaluation.samples import NEIGHBOURS, Source
from perception_nodes.evaluation.scorers import SCORERS, Scorer
from perception_nodes.evaluation.sources import open_source
from perception_nodes.pipelines.build import NO_MODEL, PIPELINES, build_pipeline
from perception_nodes.pipelines.config_values import changed
from perception_nodes.pipelines.mono_depth import MonoDepthConfig
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig
from perception_nodes.pipelines.place_recognition import PlaceRecognitionConfig
from perception_nodes.types import PerceptionError

__all__ = ['Evaluation', 'MethodResult', 'baselines_of', 'evaluate']

Progress = Callable[[str, int, int], None]

# A benchmark scores every pixel and every image: what a robot would rather not use is not hidden
# from it. (The depth metric clips to the data set's range itself, as the literature does.)
_CONFIGS: dict[str, Any] = {
    'mono_depth': MonoDepthConfig(min_depth_m=0.0, max_depth_m=1e4),
    'optical_flow': OpticalFlowConfig(keep_leaving=True),
    'place_recognition': PlaceRecognitionConfig(
        min_similarity=-1.0, recency_s=float(NEIGHBOURS), add_interval_s=0.0, add_similarity=1.0
    ),
}
_SHOWN_FRAMES = 4


@dataclass(frozen=True)
class MethodResult:
    """What one method reached.

    Attributes
    ----------
    metrics : finite numbers by name. metric : the object behind them, for plots.
    call_ms : [frames] wall time of the pipeline's calls.
    images : a few frames'.
    frame_values : [frames] the scorer's frame metric, NaN where a frame has none; empty if off.
    """

    name: str
    backend: str
    metrics: dict[str, float]
    metric: Any
    call_ms: tuple[float, ...]
    frame_values: tuple[float, ...] = ()
    images: tuple[tuple[ReportImage, ...], ...] = ()

    @property
    def ms_per_frame(self) -> dict[str, float]:
        """Median and 99th percentile of the calls, milliseconds."""
        return {f'p{q}': float(np.percentile(self.call_ms, q)) for q in (50, 99)}


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
            'frames': len(self.ours.call_ms),
            'metrics': self.ours.metrics,
            'peers': {
                baseline.name: {
                    **baseline.metrics,
                    **{f'ms_{name}': value for name, value in baseline.ms_per_frame.items()},
                }
                for baseline in self.baselines
            },
            'ms_per_frame': self.ours.ms_per_frame,
            **({'parameters': self.parameters} if self.parameters else {}),
        }


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
    config : the task's config; None = one that answers every frame and every pixel.
    parameters : fields of it to change, by name: YAML texts. The baselines keep theirs.
    baselines : names out of ``baselines_of(task)``.
    details : also keep images and values of single frames, for a report.
    progress : called with (method, frames done, frames) in the prediction loop.

    Raises
    ------
    PerceptionError
        If a name is unknown, a parameter is wrong, the data cannot be read or the model cannot be
        loaded.
    """
    source = open_source(task, dataset, root, split)
    known_baselines = baselines_of(task)
    unknown = sorted(set(baselines) - set(known_baselines))
    if unknown:
        raise PerceptionError(
            f"no baseline '{unknown[0]}' of {task}; "
            f"there are: {', '.join(known_baselines) or 'none'}"
        )
    scorer = SCORERS[task](source)
    usual = _CONFIGS.get(task, PIPELINES[task].config())
    config = changed(_on_vehicle(usual if config is None else config, source), parameters)
    if model is None and getattr(config, 'front_end', 'learned') != 'learned':
        model = NO_MODEL
    pipeline = build_pipeline(
        task, model=model, config=config, backend=backend, precision=precision, threads=threads
    )
    ours = _run('ours', pipeline, scorer, source.samples, details, progress)
    rivals = tuple(
        _run(name, _baseline(task, name, source), scorer, source.samples, details, progress)
        for name in known_baselines
        if name in baselines
    )
    return Evaluation(
        task, dataset, Path(root), split or ('val' if dataset == 'camvid' else None),
        str(model or PIPELINES[task].model), dict(parameters), ours, rivals, scorer, source,
    )  # fmt: skip


def baselines_of(task: str) -> tuple[str, ...]:
    """Names of the classical methods that a task is measured against."""
    return tuple(BASELINES.get(task, {}))


def _baseline(task: str, name: str, source: Source) -> Any:
    """Make a baseline that, like ours, gives every pixel and knows where the camera is."""
    baseline = BASELINES[task][name]()
    if isinstance(baseline, TwoWayFlowPipeline):
        baseline.config = _CONFIGS['optical_flow']
    elif task == 'place_recognition':
        baseline = type(baseline)(_CONFIGS[task])
    elif source.base_from_camera is not None:
        baseline = type(baseline)(_on_vehicle(baseline.config, source))
    return baseline


def _on_vehicle(config: Any, source: Source) -> Any:
    """Put the camera where the source says it is, if the task cares."""
    if source.base_from_camera is None or not hasattr(config, 'base_from_camera'):
        return config
    rows = tuple(tuple(float(value) for value in row) for row in source.base_from_camera)
    return replace(config, base_from_camera=rows)


def _run(
    name: str,
    pipeline: Any,
    scorer: Scorer,
    samples: Sequence[Any],
    details: bool,
    progress: Progress,
) -> MethodResult:
    """Predict every sample, then score every prediction."""
    with Predictions() as predictions:
        call_ms = _predict(name, pipeline, scorer, samples, predictions, progress)
        metric = scorer.metric()
        frame_values, images = [], []
        shown = _spread(len(samples), _SHOWN_FRAMES) if details else ()
        for index, sample in enumerate(samples):
            arrays = predictions.load(index)
            scorer.score(metric, sample, arrays)
            if details and scorer.frame_metric:
                frame_metric = scorer.metric()
                scorer.score(frame_metric, sample, arrays)
                frame_values.append(frame_metric.compute()[scorer.frame_metric])
            if index in shown:
                images.append(scorer.images(sample, arrays))
    metrics = {key: value for key, value in metric.compute().items() if math.isfinite(value)}
    runner = getattr(pipeline, 'runner', None)
    return MethodResult(
        name, runner.backend if runner is not None else 'opencv', metrics, metric,
        tuple(call_ms), tuple(frame_values), tuple(images),
    )  # fmt: skip


def _predict(
    name: str,
    pipeline: Any,
    scorer: Scorer,
    samples: Sequence[Any],
    predictions: Predictions,
    progress: Progress,
) -> list[float]:
    """Run all samples in order after one that only warms the backend up; times in ms."""
    scorer.predict(pipeline, samples[0])
    pipeline.reset()
    call_ms = []
    for index, sample in enumerate(samples):
        arrays, elapsed_ms = scorer.predict(pipeline, sample)
        predictions.save(index, arrays)
        call_ms.append(elapsed_ms)
        progress(name, index + 1, len(samples))
    return call_ms


def _spread(count: int, wanted: int) -> tuple[int, ...]:
    """Pick indices over the whole set, the middles of equal parts."""
    wanted = min(count, wanted)
    return tuple(int((part + 0.5) * count / wanted) for part in range(wanted))
