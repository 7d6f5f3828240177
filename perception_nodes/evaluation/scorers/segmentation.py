# SPDX-License-Identifier: Apache-2.0
"""Segmentation: mIoU, calibration of the confidence, entropy as detector of errors."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from perception_nodes.datasets.samples import LabelledImage
from perception_nodes.evaluation.plots import reliability, sparsification
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers.merged_classes import merged_probabilities
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.timing import timed
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


class SegmentationScorer:
    """Classes by name: a model may number them otherwise than the data set."""

    headlines = (
        Headline('miou', 'high', 'mIoU'),
        Headline('ece', 'low', 'calibration error'),
        Headline('auroc_error', 'high', 'AUROC of entropy against errors'),
    )
    frame_metric = 'miou'

    def __init__(self, source: Source) -> None:
        self.classes = source.classes
        self.merged = source.merged
        self.palette = class_palette(len(source.classes))

    def predict(self, pipeline: Any, sample: LabelledImage) -> tuple[dict[str, Array], float]:
        """Run the pipeline, then (not timed) ask its model for the probability of the truth."""
        result, elapsed_ms = timed(lambda: pipeline(sample.image))
        if self.merged is not None:
            return self._merged(pipeline, sample, result.classes, self.merged), elapsed_ms
        table = class_table(result.classes, self.classes)
        self._take_palette(pipeline, table)
        arrays = {
            'labels': table[result.labels],
            'confidence': result.confidence,
            'entropy': result.entropy,
        }
        probabilities = _probabilities(pipeline, sample.image)
        if probabilities is not None:
            arrays['truth_probability'] = _of_truth(probabilities, sample.labels, table)
        return arrays, elapsed_ms

    def _merged(
        self, pipeline: Any, sample: LabelledImage, model_classes: tuple[str, ...],
        merged: Mapping[str, tuple[str, ...]],
    ) -> dict[str, Array]:
        """Labels of merged classes come from their probabilities, not from the model's labels."""
        given = _probabilities(pipeline, sample.image)
        config = getattr(pipeline, 'config', None)
        if given is None or getattr(config, 'flip', False) or getattr(config, 'temporal', False):
            raise PerceptionError(
                'this data set merges classes: it wants a model that gives probabilities, without '
                'flip and temporal'
            )
        planes = merged_probabilities(given, model_classes, merged)
        labels, confidence, entropy = summarise(planes, *sample.labels.shape)
        return {
            'labels': labels, 'confidence': confidence, 'entropy': entropy,
            'truth_probability': _of_truth(planes, sample.labels, np.arange(256)),
        }

    def metric(self) -> SegmentationMetric:
        """Make an empty metric."""
        return SegmentationMetric(self.classes)

    def score(
        self, metric: SegmentationMetric, sample: LabelledImage, arrays: dict[str, Any]
    ) -> None:
        """Add one frame."""
        metric.update(
            arrays['labels'],
            sample.labels,
            confidence=arrays['confidence'],
            uncertainty=arrays['entropy'],
            truth_probability=arrays.get('truth_probability'),
        )

    def images(self, sample: LabelledImage, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show prediction, truth, entropy and errors."""
        mask = Segmentation(
            0, '', arrays['labels'], arrays['confidence'], arrays['entropy'], classes=self.classes
        )
        wrong = (arrays['labels'] != sample.labels) & (sample.labels != UNLABELLED)
        errors = np.where(wrong[..., None], np.uint8([235, 64, 52]), np.uint8([28, 36, 46]))
        return (
            ReportImage(overlay(sample.image, mask, self.palette), f'{sample.name}: prediction'),
            ReportImage(class_color(sample.labels, self.palette), 'truth', exact=True),
            ReportImage(sigma_color(arrays['entropy'], 1.0), 'entropy, 0 to 1'),
            ReportImage(errors.astype(np.uint8), 'wrong pixels', exact=True),
        )

    def _take_palette(self, pipeline: Any, table: Array) -> None:
        """Show the classes in the colours of the model's card."""
        card = getattr(getattr(pipeline, 'runner', None), 'card', None)
        for model_class, colour in enumerate(card.palette if card else ()):
            if table[model_class] != UNLABELLED:
                index = int(table[model_class])
                self.palette = (*self.palette[:index], colour, *self.palette[index + 1 :])

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
    """Coarse probabilities [K, h, w] of the pipeline's model, if it gives them."""
    runner = getattr(pipeline, 'runner', None)
    if runner is None or 'probabilities' not in {spec.name for spec in runner.card.outputs}:
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
