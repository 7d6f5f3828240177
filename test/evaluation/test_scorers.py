# SPDX-License-Identifier: Apache-2.0
"""What is scored where answers may be named, numbered or repeated in many ways."""

from pathlib import Path

import numpy as np
import pytest

from perception_nodes.evaluation.samples import PlaceQuery, Source
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer, class_table
from perception_nodes.evaluation.sources import open_source
from perception_nodes.types import (
    Camera,
    Image,
    PerceptionError,
    PlaceMatch,
    PlaceMatches,
    Segmentation,
)


class Recogniser:
    """Says of every image that it is the one before (sure) or the one six before (less so)."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def clear(self) -> None:
        self.stamps.clear()

    def reset(self) -> None:
        """Keep the map."""

    def __call__(self, image: Image, camera: Camera) -> PlaceMatches:
        matches = tuple(
            PlaceMatch(0, self.stamps[-back], np.eye(4), 0.9, probability)
            for back, probability in ((1, 0.9), (6, 0.5))
            if len(self.stamps) >= back
        )
        self.stamps.append(image.stamp_ns)
        return PlaceMatches(image.stamp_ns, 'camera', matches)


def test_places_just_seen_neither_help_nor_hurt() -> None:
    """Images repeat after 6; the neighbour that always comes first is taken out."""
    blank = np.zeros((4, 4, 3), np.uint8)
    camera = Camera.pinhole(4, 4, 4.0, 4.0, 1.5, 1.5)
    queries = [
        PlaceQuery(
            str(n), n, Image(blank, n), camera, frozenset({n - 6} if n >= 6 else ()),
            frozenset(range(max(n - 2, 0), n + 1)),
        )
        for n in range(12)
    ]  # fmt: skip
    scorer = PlaceRecognitionScorer(Source(queries))
    metric, pipeline = scorer.metric(), Recogniser()
    for query in queries:
        scorer.score(metric, query, scorer.predict(pipeline, query)[0])
    result = metric.compute()
    assert result['recall1'] == 1.0
    assert result['ap'] == 1.0


def test_classes_are_matched_by_name() -> None:
    table = class_table(('car', 'SKY', 'dog'), ('Sky', 'Car'))
    assert table[[0, 1, 2, 255]].tolist() == [1, 0, 255, 255]
    assert class_table((), ('Sky', 'Car'))[[0, 1, 2]].tolist() == [0, 1, 255]
    with pytest.raises(PerceptionError, match=r'does not know the class\(es\) Car'):
        class_table(('sky',), ('Sky', 'Car'))


def test_segmentation_in_another_numbering_scores_the_same(wall_bag: Path) -> None:
    """The bag says Building (1) everywhere; the model calls it class 0 on the left half."""
    sample = next(iter(open_source('segmentation', 'bag', wall_bag, None).samples))
    scorer = SegmentationScorer(open_source('segmentation', 'bag', wall_bag, None))
    names = (*scorer.classes[1:], scorer.classes[0])
    labels = np.zeros(sample.labels.shape, np.uint8)
    labels[:, labels.shape[1] // 2 :] = 3
    full = np.ones(labels.shape, np.float32)
    result = Segmentation(0, '', labels, 0.5 * full, 0.5 * full, classes=names)
    metric = scorer.metric()
    scorer.score(metric, sample, scorer.predict(lambda image: result, sample)[0])
    assert metric.compute()['iou_building'] == pytest.approx(0.5)
    assert metric.compute()['ece'] == pytest.approx(0.0)
