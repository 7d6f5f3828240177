# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation: IoU from one confusion matrix of the whole set, and calibration."""

from collections.abc import Sequence

import numpy as np

from perception_nodes.metrics.calibration import ReliabilityBins
from perception_nodes.metrics.info import MetricInfo
from perception_nodes.metrics.uncertainty import ErrorDetection, Sparsification
from perception_nodes.types import UNLABELLED, Array, FloatArray, PerceptionError

__all__ = ['SegmentationMetric']


class SegmentationMetric:
    """Confusion matrix [truth, prediction]; an unlabelled prediction is wrong for its truth.

    Parameters
    ----------
    classes : names by class id, at most 255.
    """

    infos = (
        MetricInfo(
            'miou', 'mIoU',
            'Mean of the IoU over the classes that occur; one confusion matrix of the whole set.',
            better='high',
        ),
        MetricInfo('accuracy', 'pixel accuracy', 'Share of the labelled pixels that are right.',
                   better='high'),
        MetricInfo(
            'iou_<class>', 'IoU of <class>',
            'Intersection over union of one class; an unlabelled prediction is wrong.',
            better='high',
        ),
        *ReliabilityBins.infos,
        MetricInfo(
            'nll', 'negative log likelihood',
            'Mean negative logarithm of the probability given to the true class; by `evaluate` '
            'only, since topics carry no probabilities.', 'nat', 'low',
        ),
        *ErrorDetection.infos,
        *Sparsification.infos,
    )  # fmt: skip

    def __init__(self, classes: Sequence[str]) -> None:
        if not 1 <= len(classes) <= UNLABELLED:
            raise PerceptionError(f'{len(classes)} classes: 1 to {UNLABELLED} are wanted')
        self.classes = tuple(classes)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        side = len(self.classes)
        # The last column counts predictions that say nothing (255).
        self.confusion = np.zeros((side, side + 1), np.int64)
        self.reliability = ReliabilityBins()
        self.detection = ErrorDetection()
        self.sparsification = Sparsification()
        self._nll, self._nll_count = 0.0, 0

    def update(
        self,
        labels: Array,
        truth: Array,
        *,
        confidence: FloatArray | None = None,
        uncertainty: FloatArray | None = None,
        truth_probability: FloatArray | None = None,
    ) -> None:
        """Count one image.

        Parameters
        ----------
        labels, truth : uint8 [H, W] class ids, 255 = unlabelled (in the truth: not counted).
        confidence : [H, W] probability of the label, 0..1.
        uncertainty : [H, W] >= 0, for example the predictive entropy.
        truth_probability : [H, W] probability that was given to the true class.

        Raises
        ------
        PerceptionError
            If shapes differ or an id is neither a class nor 255.
        """
        if labels.shape != truth.shape:
            raise PerceptionError(f'labels {labels.shape} and truth {truth.shape} do not pair')
        side = len(self.classes)
        known = truth != UNLABELLED
        true, predicted = truth[known].astype(np.int64), labels[known].astype(np.int64)
        predicted = np.where(predicted == UNLABELLED, side, predicted)
        for name, ids, limit in (('truth', true, side - 1), ('labels', predicted, side)):
            if ids.size and ids.max() > limit:
                raise PerceptionError(f'{name} hold class id {ids.max()}, known are 0..{side - 1}')
        cells = np.bincount(true * (side + 1) + predicted, minlength=side * (side + 1))
        self.confusion += cells.reshape(side, side + 1)
        wrong = true != predicted
        if confidence is not None:
            self.reliability.update(confidence[known], ~wrong)
        if uncertainty is not None:
            self.detection.update(uncertainty[known], wrong)
            self.sparsification.update(uncertainty[known], wrong.astype(np.float64))
        if truth_probability is not None:
            likelihood = np.maximum(truth_probability[known].astype(np.float64), 1e-12)
            self._nll -= float(np.log(likelihood).sum())
            self._nll_count += likelihood.size

    def iou(self) -> FloatArray:
        """IoU of every class, [K]; NaN for a class that is neither true nor predicted."""
        hits = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(axis=1) + self.confusion[:, :-1].sum(axis=0) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), np.nan)

    def compute(self) -> dict[str, float]:
        """Return miou, accuracy, iou_<class>, ece, nll, auroc_error, ause."""
        iou = self.iou()
        total = self.confusion.sum()
        counted = bool(total)
        return {
            'miou': float(np.nanmean(iou)) if counted else float('nan'),
            'accuracy': float(np.trace(self.confusion) / total) if counted else float('nan'),
            **{
                f'iou_{name.lower()}': float(value)
                for name, value in zip(self.classes, iou, strict=True)
            },
            **self.reliability.compute(),
            'nll': self._nll / self._nll_count if self._nll_count else float('nan'),
            **self.detection.compute(),
            **self.sparsification.compute(),
        }
