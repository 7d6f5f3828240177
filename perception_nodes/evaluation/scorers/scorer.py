# SPDX-License-Identifier: Apache-2.0
"""What evaluation knows of a task: how to run it, how to score it, how to show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.types import Array

__all__ = ['Headline', 'Metric', 'Scorer']


@dataclass(frozen=True)
class Headline:
    """A metric that stands at the top of the report; better is 'high' or 'low'."""

    metric: str
    better: str
    label: str


class Metric(Protocol):
    """Counts over frames; ``update`` differs by task."""

    def compute(self) -> dict[str, float]:
        """Return names and numbers."""
        ...


class Scorer(Protocol):
    """One task.

    Attributes
    ----------
    headlines : the metrics that matter most, first first.
    frame_metric : the one that is drawn over frames; '' if single frames have none.
    """

    headlines: tuple[Headline, ...]
    frame_metric: str

    def predict(self, pipeline: Any, sample: Any) -> tuple[dict[str, Array], float]:
        """Run the pipeline on one sample; return what scoring needs and the call's time, ms."""
        ...

    def metric(self) -> Any:
        """Make an empty metric."""
        ...

    def score(self, metric: Any, sample: Any, arrays: dict[str, Array]) -> None:
        """Add one frame to the metric."""
        ...

    def images(self, sample: Any, arrays: dict[str, Array]) -> tuple[ReportImage, ...]:
        """Show one frame."""
        ...

    def plots(self, metrics: Mapping[str, Any]) -> tuple[Plot, ...]:
        """Draw what the metrics of all methods hold, ours first."""
        ...
