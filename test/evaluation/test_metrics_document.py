# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md is what the records say, and a new metric appears everywhere by one file."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from perception_nodes.evaluation.metrics_document import metrics_document
from perception_nodes.evaluation.metrics_table import metrics_table
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers import SCORERS, Score
from perception_nodes.evaluation.scorers.optical_flow import OpticalFlowScorer
from perception_nodes.metrics.info import MetricInfo

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_is_current() -> None:
    """If it is not: make docs."""
    assert (ROOT / 'docs' / 'metrics.md').read_text(encoding='utf-8') == metrics_document()


class LongestFlow:
    """A new metric, all of it: what it counts and what it is."""

    infos: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo('longest_px', 'longest flow', 'Largest length seen.', 'px', 'high'),
    )

    def __init__(self) -> None:
        self.longest = 0.0

    def update(self, flow_px: Any, truth_px: Any, sigma_px: Any) -> None:
        self.longest = max(self.longest, float(abs(flow_px).max()))

    def compute(self) -> dict[str, float]:
        return {'longest_px': self.longest}


def test_a_new_metric_is_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its label, unit and direction reach the table, the headline and the document."""
    monkeypatch.setattr(OpticalFlowScorer, 'metric_type', LongestFlow)
    monkeypatch.setattr(OpticalFlowScorer, 'headlines', ('longest_px',))
    score = Score(SCORERS['optical_flow'](Source((), 0)))
    score.metric.update(np.ones((2, 2, 2)), None, None)
    table = metrics_table({'ours': score.metric.compute()}, score.metric.infos)
    assert table.rows == [('longest flow, px', 1.0)]
    assert table.better == ['high']
    assert score.scorer.headline_infos[0].unit == 'px'
    assert '| **`longest_px`** | longest flow | px | higher | Largest length seen. |' in (
        metrics_document()
    )
