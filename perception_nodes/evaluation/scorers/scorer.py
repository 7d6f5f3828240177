# SPDX-License-Identifier: Apache-2.0
"""How the results of one task are scored and shown, whoever made them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from perception_nodes.evaluation.report_parts import Legend, Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth, Sample, Source
from perception_nodes.metrics.info import MetricInfo, find_info
from perception_nodes.types import Image

__all__ = ['Metric', 'Score', 'Scorer']

NO_IMAGES: Mapping[int, Image] = MappingProxyType({})


class Metric(Protocol):
    """Counts over frames; ``update`` differs by task."""

    infos: ClassVar[tuple[MetricInfo, ...]]

    def compute(self) -> dict[str, float]:
        """Return numbers by name."""
        ...


class Scorer(ABC):
    """One task: which metric counts its results, and how a result is drawn.

    Parameters
    ----------
    source : its classes and settings.
    model : model card of the task, as ``model_info`` holds it; its classes and palette are used.

    Attributes
    ----------
    task : whose results it scores.
    metric_type : of the objects that ``metric`` makes; ``infos`` are its.
    truth_topic : topic of a bag without which nothing can be scored; '' = results are scored by
        themselves.
    benchmark : parameters of the task when every pixel and every image is to be answered: what a
        robot would rather not use still counts in a benchmark.
    headlines : names of the metrics that matter most, first first.
    frame_label : what ``score`` returns of a frame, with its unit; '' if single frames have none.
    """

    task: ClassVar[str]
    metric_type: ClassVar[Any]
    truth_topic: ClassVar[str] = ''
    benchmark: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    headlines: ClassVar[tuple[str, ...]]
    frame_label: ClassVar[str] = ''

    def __init__(
        self, source: Source, model: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self.settings = source.settings

    @property
    def headline_infos(self) -> tuple[MetricInfo, ...]:
        """Records of the headlines."""
        return tuple(find_info(self.metric_type.infos, name) for name in self.headlines)

    def metric(self) -> Any:
        """Make an empty metric."""
        return self.metric_type()

    @abstractmethod
    def score(self, metric: Any, truth: GroundTruth, result: Any) -> float | None:
        """Add one frame to the metric.

        Returns
        -------
        The frame's own error, NaN if it has none; None if it was not scored, because its ground
        truth is not known.
        """

    def begin(self, pipeline: Any) -> None:
        """Make a pipeline forget what it has seen."""
        pipeline.reset()

    def completed(self, pipeline: Any, sample: Sample, result: Any) -> Any:
        """Return the result with what else scoring wants of the pipeline; not timed."""
        return result

    @abstractmethod
    def images(
        self, image: Image | None, truth: GroundTruth, result: Any,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show one result with the ground truth and the error where they are known.

        Parameters
        ----------
        image : that the result describes. others : images of the stamps of ``related``.
        """

    def related(self, truth: GroundTruth, result: Any) -> tuple[int, ...]:
        """Stamps of the other images that ``images`` shows."""
        return ()

    def legend(self) -> list[Legend]:
        """Name the colours of the images."""
        return []

    def plots(self, metrics: Mapping[str, Any]) -> tuple[Plot, ...]:
        """Draw what the metrics of all methods hold, ours first."""
        return ()


class Score:
    """The results of one method for one task, counted.

    Attributes
    ----------
    stamps_ns, values : of the frames that were scored: image stamp, and what ``score`` returned.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.metric = scorer.metric()
        self.stamps_ns: list[int] = []
        self.values: list[float] = []

    def add(self, truth: GroundTruth, result: Any) -> bool:
        """Count one result; return whether its ground truth was known."""
        value = self.scorer.score(self.metric, truth, result)
        if value is None:
            return False
        self.stamps_ns.append(result.stamp_ns)
        self.values.append(float(value))
        return True

    def compute(self) -> dict[str, float]:
        """Return the metrics that have a value; none if no frame was scored."""
        if not self.values:
            return {}
        return {key: value for key, value in self.metric.compute().items() if math.isfinite(value)}
