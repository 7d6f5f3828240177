# SPDX-License-Identifier: Apache-2.0
"""What maps a learned sigma makes one and two of it hold, heavy tails or not."""

import numpy as np
import pytest

from perception_nodes.export.sigma_scale import fit_sigma_curve, fit_sigma_scale


def examples(spread, tail=None, count=4):
    """Errors whose deviation is spread(sigma), a part of them tail(sigma) times larger."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        sigma = np.exp(rng.normal(0, 1, 30_000))
        error = rng.normal(0, 1, sigma.shape) * spread(sigma)
        if tail is not None:
            error = np.where(rng.random(sigma.shape) < 0.1, error * tail(sigma), error)
        yield error.astype(np.float32), sigma.astype(np.float32)


def test_scale_holds_one_sigma():
    fitted = fit_sigma_scale(examples(lambda sigma: 0.5 * sigma))
    assert fitted['sigma_scale'] == pytest.approx(0.5, rel=0.02)
    assert fitted['coverage2'] == pytest.approx(0.9545, abs=0.01)


def test_curve_of_honest_errors_is_a_straight_line():
    fitted = fit_sigma_curve(examples(lambda sigma: 2.0 * sigma))
    assert fitted['sigma_power'] == 1.0
    assert fitted['sigma_scale'] == pytest.approx(2.0, rel=0.04)


def test_curve_bends_where_uncertain_pixels_are_worse_than_they_say():
    power = fit_sigma_curve(examples(lambda sigma: sigma**1.5))
    assert power['sigma_power'] > 1.2
    assert power['coverage1'] == pytest.approx(0.6827, abs=0.02)
    assert power['coverage2'] == pytest.approx(0.9545, abs=0.015)


def test_heavy_tails_are_shared_between_one_and_two_sigmas():
    data = list(examples(lambda sigma: sigma, lambda sigma: 6.0))
    plain, curve = fit_sigma_scale(data), fit_sigma_curve(data)
    assert plain['coverage2'] < 0.93
    assert curve['coverage2'] > plain['coverage2']
    assert curve['coverage1'] < 0.75
