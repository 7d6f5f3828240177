# SPDX-License-Identifier: Apache-2.0
"""One method on one source: every frame through its pipeline, timed, scored and sampled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perception_nodes.evaluation.report_parts import ReportImage
from perception_nodes.evaluation.samples import Sample, Source
from perception_nodes.evaluation.scorers import Score, Scorer
from perception_nodes.pipelines.perception import MonoFrame, Perception, StereoFrame
from perception_nodes.pipelines.timed import TimedPipeline
from perception_nodes.types import PerceptionError

__all__ = ['MethodResult', 'Progress', 'run_method']

Progress = Callable[[str, int, int], None]
_SHOWN_FRAMES = 4


@dataclass(frozen=True)
class MethodResult:
    """What one method reached.

    Attributes
    ----------
    metrics : finite numbers by name. metric : the object behind them, for plots.
    call_ms : [frames] wall time of the pipeline's calls that gave a result.
    frame_values : of the scored frames, see ``Scorer.frame_label``.
    images : of a few frames.
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


def run_method(
    name: str, task: str, pipeline: Any, inputs: Mapping[str, Any], scorer: Scorer,
    source: Source, details: bool = False,
    progress: Progress = lambda method, done, total: None,
) -> MethodResult:
    """Run a pipeline on all samples in order, after one that only warms the backend up.

    Parameters
    ----------
    inputs : pipelines whose results the task takes, by task.
    details : also draw a few frames.
    progress : called with (name, frames done, frames).

    Raises
    ------
    PerceptionError
        If no frame could be scored, or a pipeline refuses one.
    """
    timed, score = TimedPipeline(pipeline), Score(scorer)
    perception = Perception({task: timed, **inputs})
    _result(perception, task, source.first())
    perception.reset()
    scorer.begin(pipeline)
    shown = _spread(source.count, _SHOWN_FRAMES) if details else ()
    kept: list[tuple[Sample, Any]] = []
    call_ms: list[float] = []
    for number, sample in enumerate(source.samples):
        result = _result(perception, task, sample)
        if result is not None:
            call_ms.append(timed.call_ms[-1])
            result = scorer.completed(pipeline, sample, result)
            score.add(sample.truth, result)
            if number in shown:
                kept.append((sample, result))
        progress(name, number + 1, source.count)
    if not score.values:
        raise PerceptionError(f'{name}: no frame has both a result and its ground truth')
    return MethodResult(
        name, pipeline.runners[0].backend if pipeline.runners else 'opencv', score.compute(),
        score.metric, tuple(call_ms), tuple(score.values), _draw(scorer, source, kept),
    )


def _result(perception: Perception, task: str, sample: Sample) -> Any:
    """Run one sample; of a pair that is no sequence, its older image before."""
    if sample.before is not None:
        perception.reset()
        perception(_with_image(sample.frame, sample.before))
    return perception(sample.frame).get(task)


def _with_image(frame: StereoFrame | MonoFrame, image: Any) -> MonoFrame:
    if isinstance(frame, StereoFrame):
        return MonoFrame(image, frame.rig.left)
    return replace(frame, image=image)


def _draw(
    scorer: Scorer, source: Source, kept: list[tuple[Sample, Any]]
) -> tuple[tuple[ReportImage, ...], ...]:
    """Draw the sampled frames, the camera's image first."""
    related = {
        stamp for sample, result in kept for stamp in scorer.related(sample.truth, result)
    }
    others = source.images(related) if related else {}
    return tuple(
        (
            ReportImage(sample.image.data, f'{sample.name}: image'),
            *scorer.images(sample.image, sample.truth, result, others),
        )
        for sample, result in kept
    )


def _spread(count: int, wanted: int) -> tuple[int, ...]:
    """Pick indices over the whole set, the middles of equal parts."""
    wanted = min(count, wanted)
    return tuple(int((part + 0.5) * count / wanted) for part in range(wanted))
