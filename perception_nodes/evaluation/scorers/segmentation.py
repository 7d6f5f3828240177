# SPDX-License-Identifier: Apache-2.0
"""Segmentation: mIoU, calibration of the confidence, entropy as detector of errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from perception_nodes.evaluation.bag_topics import LABELS
from perception_nodes.evaluation.plots import reliability, sparsification
from perception_nodes.evaluation.report_parts import Legend, Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth, Sample, Source
from perception_nodes.evaluation.scorers.merged_classes import merged_probabilities
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.evaluation.scorers.sigma_plots import or_none
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.pipelines.segmentation import summarise
from perception_nodes.types import (
    UNLABELLED,
    Array,
    FloatArray,
    Image,
    PerceptionError,
    Segmentation,
)
from perception_nodes.visualization.colors import (
    class_color,
    class_palette,
    overlay,
    sigma_color,
)

__all__ = ['SegmentationScorer', 'class_table']

_WRONG, _RIGHT = np.array([[235, 64, 52], [28, 36, 46]], np.uint8)


@dataclass(frozen=True)
class ProbedSegmentation(Segmentation):
    """A result with the probability [H, W] that the model assigns to the true class."""

    truth_probability: FloatArray | None = None


class SegmentationScorer(Scorer):
    """Classes by name: a model may number them otherwise than the ground truth.

    Without classes of the source (a bag without labels) those of the model are shown.
    """

    task = 'segmentation'
    metric_type = SegmentationMetric
    truth_topic = LABELS
    headlines = ('miou', 'ece', 'auroc_error')
    frame_label = 'pixel accuracy'

    def __init__(
        self, source: Source, model: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(source)
        self.model_classes = tuple(model.get('classes', ()))
        self.classes = source.classes or self.model_classes
        self.merged = source.merged
        palette = list(class_palette(len(self.classes) or UNLABELLED))
        if self.merged is None:
            table = class_table(self.model_classes, self.classes)
            for index, colour in zip(table, model.get('palette', ()), strict=False):
                if index != UNLABELLED:
                    palette[index] = tuple(colour)
        self.palette = tuple(palette)

    def metric(self) -> SegmentationMetric:
        """Make an empty metric."""
        return SegmentationMetric(self.classes)

    def completed(
        self, pipeline: Any, sample: Sample, result: Segmentation
    ) -> 'ProbedSegmentation | Segmentation':
        """Add the probability of the true class; merge classes if the data set does."""
        planes, labels = _probabilities(pipeline, sample.image), sample.truth.labels
        if self.merged is not None:
            result, planes = self._merged(pipeline, planes, result, self.merged)
        if planes is None or labels is None:
            return result
        probability = _of_truth(planes, labels, class_table(result.classes, self.classes))
        return ProbedSegmentation(**vars(result), truth_probability=probability)

    def _merged(
        self, pipeline: Any, planes: FloatArray | None, result: Segmentation,
        merged: Mapping[str, tuple[str, ...]],
    ) -> tuple[Segmentation, FloatArray]:
        """Labels of merged classes come from their probabilities, not from the model's labels."""
        config = getattr(pipeline, 'config', None)
        if planes is None or getattr(config, 'flip', False) or getattr(config, 'temporal', False):
            raise PerceptionError(
                'this data set merges classes: it needs a model with probabilities, without '
                'flip and temporal'
            )
        planes = merged_probabilities(planes, result.classes, merged)
        labels, confidence, entropy = summarise(planes, *result.labels.shape)
        return Segmentation(
            result.stamp_ns, result.frame_id, labels, confidence, entropy, classes=self.classes
        ), planes

    def score(
        self, metric: SegmentationMetric, truth: GroundTruth, result: Segmentation
    ) -> float | None:
        """Add one frame."""
        if truth.labels is None:
            return None
        labels = self._in_classes(result)
        probability = None
        if isinstance(result, ProbedSegmentation):
            probability = result.truth_probability
        metric.update(
            labels, truth.labels, confidence=or_none(result.confidence),
            uncertainty=or_none(result.entropy), truth_probability=probability,
        )
        known = truth.labels != UNLABELLED
        right = labels[known] == truth.labels[known]
        return float(np.mean(right)) if right.size else float('nan')

    def _in_classes(self, result: Segmentation) -> Array:
        """Labels as ids of the source's classes."""
        return class_table(result.classes or self.model_classes, self.classes)[result.labels]

    def images(
        self, image: Image | None, truth: GroundTruth, result: Segmentation,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show mask, ground truth, errors, entropy and its epistemic part."""
        labels = self._in_classes(result)
        fits = image is not None and image.data.shape[:2] == labels.shape
        under = image if fits and image is not None else Image(np.zeros(labels.shape, np.uint8))
        mask = Segmentation(0, '', labels, result.confidence, result.entropy)
        images = [ReportImage(overlay(under, mask, self.palette, 0.5 if fits else 1.0), 'mask')]
        if truth.labels is not None:
            wrong = (labels != truth.labels) & (truth.labels != UNLABELLED)
            images += [
                ReportImage(class_color(truth.labels, self.palette), 'true classes', exact=True),
                ReportImage(np.where(wrong[..., None], _WRONG, _RIGHT), 'wrong pixels',
                            exact=True),
            ]
        images.append(ReportImage(sigma_color(result.entropy, 1.0), 'entropy, 0 to 1'))
        mutual = result.mutual_information
        if mutual is not None:
            top = float(np.nanmax(mutual))
            images.append(ReportImage(sigma_color(mutual), f'epistemic part, 0 to {top:.2g}'))
        return images

    def legend(self) -> list[Legend]:
        """Name the colours of the classes."""
        return [Legend(list(zip(self.classes, self.palette, strict=True)))] if self.classes else []

    def plots(self, metrics: Mapping[str, SegmentationMetric]) -> tuple[Plot, ...]:
        """Draw confidence against accuracy, and sparsification by entropy."""
        metric = next(iter(metrics.values()))
        plots = [reliability(metric.reliability.curve(), 'Confidence against accuracy')]
        curve = metric.sparsification.curve()
        if curve is not None:
            plots.append(
                sparsification(curve, 'Errors left when the pixels of highest entropy are removed')
            )
        return tuple(plots)


def class_table(model_classes: tuple[str, ...], data_classes: tuple[str, ...]) -> Array:
    """Data set's id for every id of the model, uint8 [256]; 255 for classes only the model knows.

    Raises
    ------
    PerceptionError
        If the model lacks one of the data set's classes.
    """
    wanted = {_plain(name): index for index, name in enumerate(data_classes)}
    known = [_plain(name) for name in model_classes] if model_classes else list(wanted)
    missing = [name for name in data_classes if _plain(name) not in known]
    if missing:
        raise PerceptionError(
            f'the model does not know the class(es) {", ".join(missing)} of this data set'
        )
    table = np.full(256, UNLABELLED, np.uint8)
    for index, name in enumerate(known):
        table[index] = wanted.get(name, UNLABELLED)
    return table


def _plain(name: str) -> str:
    return ''.join(letter for letter in name.lower() if letter.isalnum())


def _probabilities(pipeline: Any, image: Image) -> FloatArray | None:
    """Coarse probabilities [K, h, w] of the pipeline's model, if it returns them."""
    if not pipeline.runners:
        return None
    runner = pipeline.runners[0]
    if 'probabilities' not in {spec.name for spec in runner.card.outputs}:
        return None
    data = image.data if image.data.ndim == 3 else np.repeat(image.data[..., None], 3, axis=2)
    inputs = {'image': np.ascontiguousarray(data)[None], 'dropout_masks': pipeline.masks}
    return np.asarray(runner.run(inputs, ['probabilities'])['probabilities'][0])


def _of_truth(probabilities: FloatArray, labels: Array, table: Array) -> FloatArray:
    """Probability [H, W] given to the true class; NaN where there is no truth."""
    size = (labels.shape[1], labels.shape[0])
    likelihood = np.full(labels.shape, np.nan, np.float32)
    for model_class, plane in enumerate(probabilities):
        here = labels == table[model_class]
        if table[model_class] != UNLABELLED and here.any():
            likelihood[here] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[here]
    return likelihood
