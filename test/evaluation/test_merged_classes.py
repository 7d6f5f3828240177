# SPDX-License-Identifier: Apache-2.0
"""A model with fine classes on a data set with coarse ones: probabilities add, labels follow."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perception_nodes.evaluation.samples import GroundTruth, Sample, Source
from perception_nodes.evaluation.scorers.merged_classes import merged_probabilities
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer
from perception_nodes.pipelines.perception import MonoFrame
from perception_nodes.types import Image, PerceptionError, Segmentation

MODEL_CLASSES = ('Road', 'Tree', 'Building', 'Other')
MERGED = {'Ground': ('Road',), 'Far': ('Tree', 'Building')}


class Pipeline:
    """Road is the likeliest single class, but trees and buildings together are likelier."""

    masks = np.ones((1, 4), np.float32)

    def __init__(self, outputs: tuple[str, ...] = ('probabilities',), flip: bool = False):
        card = SimpleNamespace(outputs=[SimpleNamespace(name=n) for n in outputs], palette=())
        self.config = SimpleNamespace(flip=flip, temporal=False)
        self.runners = (SimpleNamespace(card=card, run=self.run),)

    def run(self, inputs: Any, wanted: Any) -> dict[str, np.ndarray]:
        planes = np.array([0.36, 0.27, 0.27, 0.1], np.float32)
        return {'probabilities': planes[None, :, None, None].repeat(3, 2).repeat(4, 3)}

    def __call__(self, image: Image) -> Segmentation:
        ones = np.ones((6, 8), np.float32)
        return Segmentation(0, '', np.zeros((6, 8), np.uint8), ones, ones, classes=MODEL_CLASSES)


def completed(pipeline: Pipeline) -> Any:
    """What is scored of an image that is Far everywhere."""
    image = Image(np.zeros((6, 8, 3), np.uint8))
    truth = GroundTruth(labels=np.full((6, 8), 1, np.uint8))
    scorer = SegmentationScorer(Source((), 0, classes=tuple(MERGED), merged=MERGED))
    sample = Sample('a', MonoFrame(image, None), truth)
    result = scorer.completed(pipeline, sample, pipeline(image))
    assert scorer.score(scorer.metric(), truth, result) == 1.0
    return result


def test_probabilities_add_and_what_is_in_no_class_is_left_out() -> None:
    planes = np.array([0.4, 0.2, 0.3, 0.1], np.float32)[:, None, None]
    found = merged_probabilities(planes, MODEL_CLASSES, MERGED)
    assert found[:, 0, 0] == pytest.approx([0.4 / 0.9, 0.5 / 0.9])
    with pytest.raises(PerceptionError, match=r'does not know the class\(es\) Sky'):
        merged_probabilities(planes, MODEL_CLASSES, {'Up': ('Sky',)})


def test_the_sum_decides_not_the_likeliest_part() -> None:
    result = completed(Pipeline())
    assert (result.labels == 1).all()
    assert result.confidence == pytest.approx(0.6)
    assert result.truth_probability == pytest.approx(0.6)


@pytest.mark.parametrize('pipeline', [Pipeline(('labels',)), Pipeline(flip=True)])
def test_what_cannot_be_merged_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(PerceptionError, match='this data set merges classes'):
        completed(pipeline)
