# SPDX-License-Identifier: Apache-2.0
"""Place recognition: recall@N and average precision over queries that arrive in order."""

from collections.abc import Collection, Sequence

import numpy as np

from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['PlaceMetric']


class PlaceMetric:
    """Ranked candidates of every query against the places that are truly the same.

    recallN: of the queries whose place is in the map, the share with a true one among the first N.
    ap: average precision of the best candidates of all queries, sorted by score; a best candidate
    for a query without a true place counts as false.

    Parameters
    ----------
    ranks : the N of recall@N.
    """

    infos = (
        MetricInfo(
            'recall<n>', 'recall@<n>',
            'Of the queries whose place is in the map, the share with a true one among the first '
            'N candidates.', better='high',
        ),
        MetricInfo(
            'ap', 'average precision',
            'Area under precision over recall of the best candidates, accepted by falling '
            'probability; a best candidate for a new place counts as false.', better='high',
        ),
        MetricInfo(
            'recall_at_full_precision', 'recall without a false match',
            'Largest recall at a precision of 1.', better='high',
        ),
    )  # fmt: skip

    def __init__(self, ranks: Sequence[int] = (1, 5)) -> None:
        if not ranks or min(ranks) < 1:
            raise PerceptionError('recall@N wants N of at least 1')
        self.ranks = tuple(ranks)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._answerable = 0
        self._hits = dict.fromkeys(self.ranks, 0)
        self._best: list[tuple[float, bool]] = []

    def update(
        self, candidates: Sequence[int], scores: Sequence[float], true_places: Collection[int]
    ) -> None:
        """Count one query.

        Parameters
        ----------
        candidates : place ids, best first; empty = no answer. scores : theirs, higher is surer.
        true_places : ids of the map that are this place; empty = it is new.
        """
        if len(candidates) != len(scores):
            raise PerceptionError(f'{len(candidates)} candidates but {len(scores)} scores')
        correct = [place in true_places for place in candidates]
        if true_places:
            self._answerable += 1
            for rank in self.ranks:
                self._hits[rank] += any(correct[:rank])
        if correct:
            self._best.append((float(scores[0]), correct[0]))

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Recall and precision [N] while the score that is asked for falls."""
        scores = np.array([score for score, _ in self._best])
        correct = np.array([hit for _, hit in self._best], dtype=np.float64)
        order = np.argsort(-scores, kind='stable')
        scores, hits = scores[order], np.cumsum(correct[order])
        # Equal scores are accepted together.
        ends = np.flatnonzero(np.append(np.diff(scores) != 0.0, True)) if len(scores) else order
        precision = hits[ends] / (ends + 1.0)
        recall = hits[ends] / max(self._answerable, 1)
        return recall, precision

    def compute(self) -> dict[str, float]:
        """Return recall<n>, ap, recall_at_full_precision; NaN without answerable queries."""
        names = (*(f'recall{rank}' for rank in self.ranks), 'ap', 'recall_at_full_precision')
        if not self._answerable:
            return dict.fromkeys(names, float('nan'))
        recall, precision = self.curve()
        ap = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        sure = recall[precision == 1.0]
        values = (*(hits / self._answerable for hits in self._hits.values()), ap)
        return dict(zip(names, (*values, float(sure.max()) if sure.size else 0.0), strict=True))
