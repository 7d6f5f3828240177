# SPDX-License-Identifier: Apache-2.0
"""What is scored where answers may be named, numbered or repeated in many ways."""

from pathlib import Path

import numpy as np
import pytest

from perception_nodes.evaluation.samples import GroundTruth, PlaceTruth, Source
from perception_nodes.evaluation.scorers import SCORERS, Score
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer, class_table
from perception_nodes.evaluation.scorers.stereo_depth import StereoDepthScorer
from perception_nodes.evaluation.sources import open_source
from perception_nodes.metrics.info import find_info
from perception_nodes.types import (
    Camera,
    Depth,
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
    truths = [
        GroundTruth(place=PlaceTruth(frozenset({n - 6} if n >= 6 else ()), n - 2))
        for n in range(12)
    ]
    score, pipeline = Score(PlaceRecognitionScorer(Source((), 0))), Recogniser()
    for number, truth in enumerate(truths):
        score.add(truth, pipeline(Image(blank, number), camera))
    assert score.compute()['recall1'] == 1.0
    assert score.compute()['ap'] == 1.0


def test_places_that_are_neither_right_nor_wrong_do_not_count() -> None:
    """The candidate six images back is unclear: no query has an answer, right or wrong."""
    truth = GroundTruth(place=PlaceTruth(frozenset({1}), 8, unclear=frozenset({4})))
    match = PlaceMatch(0, 4, np.eye(4), 0.9, 0.9)
    score = Score(PlaceRecognitionScorer(Source((), 0)))
    score.add(truth, PlaceMatches(10, 'camera', (match,)))
    assert score.compute()['recall1'] == 0.0
    assert score.metric.curve()[0].size == 0


def test_classes_are_matched_by_name() -> None:
    table = class_table(('car', 'SKY', 'dog'), ('Sky', 'Car'))
    assert table[[0, 1, 2, 255]].tolist() == [1, 0, 255, 255]
    assert class_table((), ('Sky', 'Car'))[[0, 1, 2]].tolist() == [0, 1, 255]
    with pytest.raises(PerceptionError, match=r'does not know the class\(es\) Car'):
        class_table(('sky',), ('Sky', 'Car'))


def test_segmentation_in_another_numbering_scores_the_same(wall_bag: Path) -> None:
    """The bag says Building (1) everywhere; the model calls it class 0 on the left half."""
    source = open_source('segmentation', 'bag', wall_bag, None)
    truth = source.first().truth
    names = (*source.classes[1:], source.classes[0])
    labels = np.zeros(truth.labels.shape, np.uint8)
    labels[:, labels.shape[1] // 2 :] = 3
    full = np.ones(labels.shape, np.float32)
    result = Segmentation(0, '', labels, 0.5 * full, 0.5 * full, classes=names)
    score = Score(SegmentationScorer(source, {'classes': names}))
    score.add(truth, result)
    assert score.values == [0.5]
    assert score.compute()['iou_building'] == pytest.approx(0.5)
    assert score.compute()['ece'] == pytest.approx(0.0)


def test_sigma_of_disparity_is_its_own_where_it_is_known() -> None:
    """Depth beyond its range is NaN, its disparity is not: that pixel's sigma counts, too."""
    camera = Camera.pinhole(2, 1, 10.0, 10.0, 0.5, 0.0)
    depth = Depth(
        0, '', camera, np.float32([[5.0, np.nan]]), np.float32([[0.1, np.nan]]),
        np.float32([[1.0, 0.1]]), np.float32([[0.5, 0.5]]), 0.5,
    )
    truth = GroundTruth(disparity_px=np.float32([[1.0, 0.9]]))
    score = Score(StereoDepthScorer(Source((), 0)))
    score.add(truth, depth)
    assert score.compute()['coverage1'] == 0.5
    assert score.values == [pytest.approx(0.4)]


@pytest.mark.parametrize('task', SCORERS)
def test_every_number_is_described(task: str) -> None:
    """What compute returns has a record, and every headline is one of them."""
    scorer = SCORERS[task](Source((), 0, classes=('Sky', 'Road')))
    for name in scorer.metric().compute():
        assert find_info(scorer.metric_type.infos, name).definition
    assert [info.name for info in scorer.headline_infos] == list(scorer.headlines)
