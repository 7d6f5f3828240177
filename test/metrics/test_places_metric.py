# SPDX-License-Identifier: Apache-2.0
"""Recall@N and average precision by hand."""

import numpy as np
import pytest

from perception_nodes.metrics.places import PlaceMetric
from perception_nodes.types import PerceptionError


def test_recall_and_precision_by_hand() -> None:
    """Best candidates by score: right 0.9, wrong 0.8, right 0.7; three of four are answerable."""
    metric = PlaceMetric((1, 2))
    metric.update([4, 7], [0.9, 0.2], {4, 5})
    metric.update([1], [0.8], set())
    metric.update([9, 3], [0.7, 0.1], {9})
    metric.update([8, 2], [0.6, 0.5], {2})
    result = metric.compute()
    assert result['recall1'] == pytest.approx(2 / 3)
    assert result['recall2'] == 1.0
    assert result['ap'] == pytest.approx(1 / 3 * 1.0 + 1 / 3 * (2 / 3))
    assert result['recall_at_full_precision'] == pytest.approx(1 / 3)


def test_equal_scores_are_accepted_together() -> None:
    """One right and one wrong answer with the same score: no order helps."""
    metric = PlaceMetric()
    metric.update([1], [0.5], {1})
    metric.update([2], [0.5], {3})
    assert metric.compute()['ap'] == pytest.approx(1 / 2 * 1 / 2)
    recall, precision = metric.curve()
    assert recall.tolist() == [0.5]
    assert precision.tolist() == [0.5]


def test_no_answer_lowers_recall_but_is_not_wrong() -> None:
    metric = PlaceMetric()
    metric.update([], [], {1})
    metric.update([1], [0.4], {1})
    result = metric.compute()
    assert result['recall1'] == 0.5
    assert result['ap'] == 0.5
    assert result['recall_at_full_precision'] == 0.5


def test_without_answerable_queries_there_is_no_number() -> None:
    metric = PlaceMetric()
    metric.update([1], [0.4], ())
    assert all(np.isnan(value) for value in metric.compute().values())
    with pytest.raises(PerceptionError, match='2 candidates but 1 scores'):
        metric.update([1, 2], [0.1], ())
