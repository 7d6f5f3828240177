# SPDX-License-Identifier: Apache-2.0
"""Place recognition: recall and average precision over a sequence, without neighbours in time."""

from collections.abc import Mapping
from typing import Any, ClassVar

from perception_nodes.evaluation.bag_topics import ODOMETRY
from perception_nodes.evaluation.plots import precision_recall
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import NEIGHBOURS, GroundTruth, PlaceTruth
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.metrics.places import PlaceMetric
from perception_nodes.types import Image, PlaceMatch, PlaceMatches

__all__ = ['PlaceRecognitionScorer']


class PlaceRecognitionScorer(Scorer):
    """Candidates are identified by their stamps, since a map need not keep every image."""

    task = 'place_recognition'
    metric_type = PlaceMetric
    truth_topic = ODOMETRY
    benchmark: ClassVar[Mapping[str, Any]] = {
        'min_similarity': -1.0, 'recency_s': float(NEIGHBOURS), 'add_interval_s': 0.0,
        'add_similarity': 1.0,
    }
    headlines = ('recall1', 'ap', 'recall_at_full_precision')

    def begin(self, pipeline: Any) -> None:
        """Empty the map."""
        pipeline.reset()
        pipeline.clear()

    def score(
        self, metric: PlaceMetric, truth: GroundTruth, result: PlaceMatches
    ) -> float | None:
        """Add one query."""
        if truth.place is None:
            return None
        kept = _candidates(truth.place, result)
        metric.update(
            [match.place_stamp_ns for match in kept], [match.probability for match in kept],
            truth.place.same,
        )
        return float('nan')

    def images(
        self, image: Image | None, truth: GroundTruth, result: PlaceMatches,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show the best place that was not just seen."""
        if truth.place is None:
            return []
        return [
            ReportImage(
                others[stamp].data,
                'best: ' + ('same place' if stamp in truth.place.same else 'another place'),
            )
            for stamp in self.related(truth, result) if stamp in others
        ]

    def related(self, truth: GroundTruth, result: PlaceMatches) -> tuple[int, ...]:
        """Stamp of the best candidate."""
        kept = _candidates(truth.place, result) if truth.place is not None else []
        return tuple(match.place_stamp_ns for match in kept[:1])

    def plots(self, metrics: Mapping[str, PlaceMetric]) -> tuple[Plot, ...]:
        """Draw precision over recall."""
        curves = {name: metric.curve() for name, metric in metrics.items()}
        return (precision_recall(curves, 'Best candidates accepted by falling probability'),)


def _candidates(truth: PlaceTruth, result: PlaceMatches) -> list[PlaceMatch]:
    """Candidates without the neighbours in time."""
    return [match for match in result.matches if truth.counts(match.place_stamp_ns)]
