# SPDX-License-Identifier: Apache-2.0
"""Whether uncertainty knows where the errors are: sparsification (AUSE) and AUROC, streaming.

Both sort by uncertainty. Instead of all pixels they keep 4096 bins of its logarithm between 1e-9
and 1e5, 0.8 % wide; ties within a bin count as ties.
"""

from dataclasses import dataclass

import numpy as np

from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['ErrorDetection', 'Sparsification', 'SparsificationCurve']

_BINS = 4096
_LOG_LOW, _LOG_HIGH = -9.0, 5.0
_FRACTIONS = np.arange(100) / 100.0


def _bin(values: FloatArray) -> Array:
    """Bin numbers of values >= 0, any shape -> [N]."""
    logarithm = np.log10(np.maximum(values.ravel(), 10.0**_LOG_LOW))
    index = (logarithm - _LOG_LOW) * (_BINS / (_LOG_HIGH - _LOG_LOW))
    return np.asarray(np.clip(index, 0, _BINS - 1).astype(np.intp))


class ErrorDetection:
    """AUROC of uncertainty as a detector of errors; 0.5 = chance, 1 = every error is above.

    The area under the ROC curve is the probability that a wrong estimate is more uncertain than a
    right one, ties counting half (Mann-Whitney).
    """

    infos = (
        MetricInfo(
            'auroc_error', 'AUROC of errors by uncertainty',
            'Probability that a wrong estimate is more uncertain than a right one, ties counting '
            'half; 0.5 is chance. Wrong: a wrong class, an outlier (D1, Fl), or depth off by more '
            'than 1.25 times.', better='high',
        ),
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._wrong = np.zeros(_BINS, np.int64)
        self._right = np.zeros(_BINS, np.int64)

    def update(self, uncertainty: FloatArray, wrong: Array) -> None:
        """Count estimates.

        Parameters
        ----------
        uncertainty : >= 0, any unit and shape; NaN is left out.
        wrong : bool, same shape.
        """
        _same_shape(uncertainty, wrong)
        known = np.isfinite(uncertainty)
        index, bad = _bin(uncertainty[known]), wrong[known].astype(np.bool_)
        self._wrong += np.bincount(index[bad], minlength=_BINS)
        self._right += np.bincount(index[~bad], minlength=_BINS)

    def compute(self) -> dict[str, float]:
        """Return ``auroc_error``; NaN unless both right and wrong estimates were seen."""
        wrong, right = int(self._wrong.sum()), int(self._right.sum())
        if not wrong or not right:
            return {'auroc_error': float('nan')}
        right_below = np.concatenate([[0], np.cumsum(self._right)[:-1]])
        wins = float(self._wrong.astype(np.float64) @ (right_below + 0.5 * self._right))
        return {'auroc_error': wins / (float(wrong) * float(right))}


@dataclass(frozen=True)
class SparsificationCurve:
    """Mean error of what is left, over that of everything, after removing a fraction.

    Attributes
    ----------
    removed : [100] fraction removed, 0..0.99.
    by_uncertainty, by_error : [100] most uncertain first; worst first (the oracle).
    """

    removed: FloatArray
    by_uncertainty: FloatArray
    by_error: FloatArray


class Sparsification:
    """Area under the sparsification error: 0 = uncertainty sorts like the error itself.

    E. Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical flow", ECCV
    2018; mean error, normalised by the mean error of everything.
    """

    infos = (
        MetricInfo(
            'ause', 'AUSE',
            'Area under the sparsification error: mean error of what is left when the most '
            'uncertain estimates are removed, minus the same for the worst, over the mean error '
            'of all (Ilg et al., ECCV 2018). 0: uncertainty sorts as the error does.',
            better='low',
        ),
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._by_uncertainty = np.zeros((2, _BINS))
        self._by_error = np.zeros((2, _BINS))

    def update(self, uncertainty: FloatArray, error: FloatArray) -> None:
        """Count estimates.

        Parameters
        ----------
        uncertainty, error : >= 0, one shape; NaN in either is left out.
        """
        _same_shape(uncertainty, error)
        known = np.isfinite(uncertainty) & np.isfinite(error)
        sizes = error[known].astype(np.float64)
        for sums, key in ((self._by_uncertainty, uncertainty[known]), (self._by_error, sizes)):
            index = _bin(key)
            sums[0] += np.bincount(index, minlength=_BINS)
            sums[1] += np.bincount(index, weights=sizes, minlength=_BINS)

    def curve(self) -> SparsificationCurve | None:
        """Both curves; None if nothing or no error at all was counted."""
        if self._by_error[1].sum() <= 0.0:
            return None
        return SparsificationCurve(
            _FRACTIONS, _remaining(self._by_uncertainty), _remaining(self._by_error)
        )

    def compute(self) -> dict[str, float]:
        """Return ``ause``; NaN if nothing or no error at all was counted."""
        curve = self.curve()
        if curve is None:
            return {'ause': float('nan')}
        gap = curve.by_uncertainty - curve.by_error
        return {'ause': float(np.sum(0.5 * (gap[1:] + gap[:-1]) * np.diff(curve.removed)))}


def _remaining(sums: FloatArray) -> FloatArray:
    """Normalised mean error of the lowest (1 - fraction) of the sorted estimates, [100]."""
    count = np.concatenate([[0.0], np.cumsum(sums[0])])
    total = np.concatenate([[0.0], np.cumsum(sums[1])])
    kept = (1.0 - _FRACTIONS) * count[-1]
    mean: FloatArray = np.interp(kept, count, total) / kept
    normalised: FloatArray = mean * (count[-1] / total[-1])
    return normalised


def _same_shape(first: Array, second: Array) -> None:
    if first.shape != second.shape:
        raise PerceptionError(f'arrays of shape {first.shape} and {second.shape} do not pair')
