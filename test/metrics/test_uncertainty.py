# SPDX-License-Identifier: Apache-2.0
"""AUROC, AUSE, ECE, coverage and NLL: by hand, and against the exact slow way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_nodes.metrics.calibration import GaussianCalibration, ReliabilityBins
from perception_nodes.metrics.uncertainty import ErrorDetection, Sparsification
from perception_nodes.types import PerceptionError


def test_auroc_by_hand() -> None:
    """Wrong: 0.8, 0.3; right: 0.5, 0.1, 0.3. Pairs won 3 + 1 + half of one: 4.5 of 6."""
    detection = ErrorDetection()
    detection.update(
        np.array([0.8, 0.3, 0.5, 0.1, 0.3]), np.array([True, True, False, False, False])
    )
    assert detection.compute()['auroc_error'] == pytest.approx(4.5 / 6.0)


@given(st.integers(0, 10**6))
def test_auroc_of_a_stream_is_the_rank_statistic(seed: int) -> None:
    generator = np.random.default_rng(seed)
    wrong = generator.random(300) < 0.3
    uncertainty = np.round(10.0 ** generator.uniform(-3, 1, 300) * (1 + wrong), 3)
    detection = ErrorDetection()
    for part in range(3):
        detection.update(uncertainty[part::3], wrong[part::3])
    pairs = uncertainty[wrong][:, None] - uncertainty[~wrong][None]
    exact = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert detection.compute()['auroc_error'] == pytest.approx(exact, abs=0.01)


def test_auroc_needs_both_kinds_and_leaves_nan_out() -> None:
    detection = ErrorDetection()
    detection.update(np.array([0.5, np.nan]), np.array([False, True]))
    assert np.isnan(detection.compute()['auroc_error'])
    detection.update(np.array([0.9]), np.array([True]))
    assert detection.compute()['auroc_error'] == 1.0
    detection.reset()
    assert np.isnan(detection.compute()['auroc_error'])


def exact_ause(uncertainty: np.ndarray, error: np.ndarray) -> float:
    """Area with full sorting, fractions of whole elements."""
    removed = np.arange(100) / 100.0

    def curve(order: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(error[order])])
        kept = (1.0 - removed) * len(error)
        return np.interp(kept, np.arange(len(error) + 1), total) / kept / error.mean()

    gap = curve(np.argsort(uncertainty)) - curve(np.argsort(error))
    return float(np.sum(0.5 * (gap[1:] + gap[:-1])) / 100.0)


def test_ause_is_zero_for_the_error_itself_and_known_for_a_constant() -> None:
    """Two halves with errors 0 and 1 and one uncertainty for all: the curve stays at 1.

    The oracle removes the ones first: (0.5 - f) / (0.5 (1 - f)) until f = 0.5, then 0.
    """
    error = np.repeat([0.0, 1.0], 500)
    perfect, blind = Sparsification(), Sparsification()
    perfect.update(error, error)
    blind.update(np.ones(1000), error)
    assert perfect.compute()['ause'] == pytest.approx(0.0, abs=1e-12)
    fraction = np.arange(100) / 100.0
    oracle = np.maximum(0.5 - fraction, 0.0) / (0.5 * (1.0 - fraction))
    area = np.sum(0.5 * ((1.0 - oracle)[1:] + (1.0 - oracle)[:-1])) / 100.0
    assert blind.compute()['ause'] == pytest.approx(area, abs=1e-9)


@given(st.integers(0, 10**6))
def test_ause_of_a_stream_is_the_sorted_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    uncertainty = generator.uniform(0.1, 3.0, 2000)
    error = np.abs(generator.normal(size=2000)) * uncertainty
    sparsification = Sparsification()
    for part in range(4):
        sparsification.update(uncertainty[part::4], error[part::4])
    exact = exact_ause(uncertainty, error)
    assert sparsification.compute()['ause'] == pytest.approx(exact, abs=0.005)


def test_ece_by_hand() -> None:
    """Two bins: 0.2 (0 of 1 correct) and 0.9, 0.7 (1 of 2): (0.2 + |1.6 - 1|) / 3."""
    bins = ReliabilityBins(2)
    bins.update(np.array([0.9, 0.2, 0.7]), np.array([True, False, False]))
    assert bins.compute()['ece'] == pytest.approx((0.2 + 0.6) / 3.0)
    curve = bins.curve()
    np.testing.assert_allclose(curve.nominal, [0.2, 0.8])
    np.testing.assert_allclose(curve.empirical, [0.0, 0.5])
    np.testing.assert_allclose(curve.weight, [1 / 3, 2 / 3])


def test_confidence_of_one_is_in_the_last_bin_and_beyond_is_refused() -> None:
    bins = ReliabilityBins(10)
    bins.update(np.array([1.0, 0.0]), np.array([True, False]))
    assert bins.compute()['ece'] == 0.0
    with pytest.raises(PerceptionError, match=r'outside 0\.\.1'):
        bins.update(np.array([1.2]), np.array([True]))


def test_coverage_and_nll_by_hand() -> None:
    """Errors 0.5, 1.5, 3 with sigma 1: one of three inside one sigma, two inside two."""
    calibration = GaussianCalibration()
    calibration.update(np.array([0.5, -1.5, 3.0, np.nan]), np.ones(4))
    result = calibration.compute()
    assert result['coverage1'] == pytest.approx(1 / 3)
    assert result['coverage2'] == pytest.approx(2 / 3)
    mean_square = (0.25 + 2.25 + 9.0) / 3.0
    assert result['nll'] == pytest.approx(0.5 * mean_square + 0.5 * np.log(2 * np.pi))


def test_a_right_sigma_covers_what_a_gaussian_promises() -> None:
    generator = np.random.default_rng(0)
    sigma = generator.uniform(0.1, 5.0, 200_000)
    calibration = GaussianCalibration()
    calibration.update(sigma * generator.normal(size=sigma.size), sigma)
    result = calibration.compute()
    assert result['coverage1'] == pytest.approx(0.6827, abs=0.004)
    assert result['coverage2'] == pytest.approx(0.9545, abs=0.002)
    curve = calibration.curve()
    np.testing.assert_allclose(curve.empirical, curve.nominal, atol=0.005)


def test_arrays_that_do_not_pair_are_refused() -> None:
    for metric in (ErrorDetection(), Sparsification(), GaussianCalibration(), ReliabilityBins()):
        with pytest.raises(PerceptionError, match='do not pair'):
            metric.update(np.ones(3), np.ones(2, bool))
