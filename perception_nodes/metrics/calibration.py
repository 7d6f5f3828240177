# SPDX-License-Identifier: Apache-2.0
"""Calibration of probabilities and sigmas: ECE, NLL, coverage."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['GaussianCalibration', 'ReliabilityBins', 'ReliabilityCurve']

_SMALLEST_SIGMA = 1e-6
_LOG_SQRT_2_PI = 0.5 * float(np.log(2.0 * np.pi))
_INTERVALS = 20


@dataclass(frozen=True)
class ReliabilityCurve:
    """Empirical against nominal coverage (or accuracy); equal on the diagonal.

    Attributes
    ----------
    nominal, empirical : [N] 0..1; NaN where nothing was counted.
    weight : [N] share of the estimates, sums to 1.
    """

    nominal: FloatArray
    empirical: FloatArray
    weight: FloatArray


class ReliabilityBins:
    """Expected calibration error over equal bins of confidence (C. Guo et al., ICML 2017)."""

    infos = (
        MetricInfo(
            'ece', 'calibration error (ECE)',
            'Expected calibration error: mean distance of confidence and accuracy over 15 equal '
            'bins of confidence, weighted by their share (Guo et al., ICML 2017).',
            better='low',
        ),
    )  # fmt: skip

    def __init__(self, bins: int = 15) -> None:
        if bins < 1:
            raise PerceptionError(f'{bins} bins: at least 1 is wanted')
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._count = np.zeros(self.bins)
        self._confidence = np.zeros(self.bins)
        self._correct = np.zeros(self.bins)

    def update(self, confidence: FloatArray, correct: Array) -> None:
        """Count estimates: confidence 0..1 of any shape (NaN is left out), correct bool."""
        if confidence.shape != correct.shape:
            raise PerceptionError(
                f'confidence {confidence.shape} and correct {correct.shape} do not pair'
            )
        known = np.isfinite(confidence)
        values = confidence[known].astype(np.float64)
        if values.size and (values.min() < -1e-6 or values.max() > 1.0 + 1e-6):
            raise PerceptionError('confidence is outside 0..1')
        index = np.clip((values * self.bins).astype(np.intp), 0, self.bins - 1)
        self._count += np.bincount(index, minlength=self.bins)
        self._confidence += np.bincount(index, values, minlength=self.bins)
        self._correct += np.bincount(index, correct[known], minlength=self.bins)

    def curve(self) -> ReliabilityCurve:
        """Mean confidence and accuracy of every bin, [bins]."""
        empty = self._count == 0
        count = np.where(empty, 1.0, self._count)
        return ReliabilityCurve(
            np.where(empty, np.nan, self._confidence / count),
            np.where(empty, np.nan, self._correct / count),
            self._count / max(self._count.sum(), 1.0),
        )

    def compute(self) -> dict[str, float]:
        """Return ``ece``, 0..1."""
        total = self._count.sum()
        if not total:
            return {'ece': float('nan')}
        return {'ece': float(np.abs(self._confidence - self._correct).sum() / total)}


class GaussianCalibration:
    """Coverage and negative log likelihood of estimates with a Gaussian one-sigma."""

    infos = (
        MetricInfo(
            'coverage1', 'inside one sigma (nominal 0.683)',
            'Share of the errors that are at most one sigma.',
        ),
        MetricInfo(
            'coverage2', 'inside two sigma (nominal 0.954)',
            'Share of the errors that are at most two sigma.',
        ),
        MetricInfo(
            'nll', 'negative log likelihood',
            'Mean negative logarithm of the Gaussian density that estimate and sigma give the '
            'ground truth.', 'nat', 'low',
        ),
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._count = 0
        self._within1 = 0
        self._within2 = 0
        self._nll = 0.0
        self._intervals = np.zeros(_INTERVALS)

    def update(self, error: FloatArray, sigma: FloatArray) -> None:
        """Count estimates.

        Parameters
        ----------
        error : estimate minus truth, any shape and unit; NaN is left out.
        sigma : one sigma in the same unit, same shape; NaN is left out, below 1e-6 counts as 1e-6.
        """
        if error.shape != sigma.shape:
            raise PerceptionError(f'error {error.shape} and sigma {sigma.shape} do not pair')
        known = np.isfinite(error) & np.isfinite(sigma)
        spread = np.maximum(sigma[known].astype(np.float64), _SMALLEST_SIGMA)
        z = np.abs(error[known].astype(np.float64)) / spread
        self._count += z.size
        self._within1 += int(np.count_nonzero(z <= 1.0))
        self._within2 += int(np.count_nonzero(z <= 2.0))
        self._nll += float(np.sum(0.5 * z * z + np.log(spread) + _LOG_SQRT_2_PI))
        needed = np.asarray(erf(z / np.sqrt(2.0)))
        index = np.minimum((needed * _INTERVALS).astype(np.intp), _INTERVALS - 1)
        self._intervals += np.bincount(index, minlength=_INTERVALS)

    def curve(self) -> ReliabilityCurve:
        """Central intervals of 5 %, 10 % ... 100 % and how often the truth lay inside."""
        nominal = np.arange(1, _INTERVALS + 1) / _INTERVALS
        total = max(self._count, 1)
        empirical = np.cumsum(self._intervals) / total if self._count else nominal * np.nan
        return ReliabilityCurve(nominal, empirical, self._intervals / total)

    def compute(self) -> dict[str, float]:
        """Return ``coverage1`` (0.683 if right), ``coverage2`` (0.954) and ``nll`` (nats)."""
        if not self._count:
            return dict.fromkeys(('coverage1', 'coverage2', 'nll'), float('nan'))
        return {
            'coverage1': self._within1 / self._count,
            'coverage2': self._within2 / self._count,
            'nll': self._nll / self._count,
        }
