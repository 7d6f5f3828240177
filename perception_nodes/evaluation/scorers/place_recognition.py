# SPDX-License-Identifier: Apache-2.0
"""Place recognition: recall and average precision over a walk, without neighbours in time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.evaluation.plots import precision_recall
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import PlaceQuery, Source
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.timing import timed
from perception_nodes.metrics.places import PlaceMetric
from perception_nodes.types import Array

__all__ = ['PlaceRecognitionScorer']


class PlaceRecognitionScorer:
    """Candidates are told apart by their stamps, since a map need not keep every image."""

    headlines = (
        Headline('recall1', 'high', 'recall@1'),
        Headline('ap', 'high', 'average precision'),
        Headline('recall_at_full_precision', 'high', 'recall without a false match'),
    )
    frame_metric = ''

    def __init__(self, source: Source) -> None:
        self.source = source
        self._numbers: dict[int, int] = {}

    def predict(self, pipeline: Any, sample: PlaceQuery) -> tuple[dict[str, Array], float]:
        """Query the map of the walk so far; the pipeline then adds this image to it."""
        if sample.number == 0:
            self._numbers.clear()
            pipeline.clear()
        self._numbers[sample.image.stamp_ns] = sample.number
        places, elapsed_ms = timed(lambda: pipeline(sample.image, sample.camera))
        numbers = [self._numbers[match.place_stamp_ns] for match in places.matches]
        return {
            'numbers': np.array(numbers, np.int64),
            'scores': np.array([match.probability for match in places.matches], np.float64),
        }, elapsed_ms

    def metric(self) -> PlaceMetric:
        """Make an empty metric."""
        return PlaceMetric()

    def score(self, metric: PlaceMetric, sample: PlaceQuery, arrays: dict[str, Any]) -> None:
        """Add one query."""
        kept = [
            (int(number), float(score))
            for number, score in zip(arrays['numbers'], arrays['scores'], strict=True)
            if int(number) not in sample.ignored
        ]
        metric.update([number for number, _ in kept], [score for _, score in kept], sample.same)

    def images(self, sample: PlaceQuery, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show a query and the best place that was not just seen."""
        kept = [int(number) for number in arrays['numbers'] if int(number) not in sample.ignored]
        query = ReportImage(sample.image.data, f'query {sample.number}')
        if not kept or self.source.samples is None:
            return (query,)
        best = self.source.samples[kept[0]]
        verdict = 'same place' if kept[0] in sample.same else 'another place'
        return query, ReportImage(best.image.data, f'best: {kept[0]}, {verdict}')

    def plots(self, metrics: Mapping[str, PlaceMetric]) -> tuple[Plot, ...]:
        """Draw precision over recall."""
        curves = {name: metric.curve() for name, metric in metrics.items()}
        return (precision_recall(curves, 'Best candidates accepted by falling probability'),)
