# SPDX-License-Identifier: Apache-2.0
"""One number that makes a learned sigma mean what it says on data that was not trained on."""

from collections.abc import Iterable

import numpy as np

from perception_nodes.types import FloatArray

ONE_SIGMA = 0.6827


def fit_sigma_scale(pairs: Iterable[tuple[FloatArray, FloatArray]]) -> dict[str, float]:
    """Scale sigma so that 68.27 % of the errors lie inside it.

    Parameters
    ----------
    pairs : of signed errors and sigmas [N], finite, in one unit, of each held-out example.

    Returns
    -------
    sigma_scale; coverage1, coverage2: shares of errors inside one and two scaled sigmas.
    """
    ratio = np.concatenate([np.abs(error) / sigma for error, sigma in pairs])
    scale = float(np.quantile(ratio, ONE_SIGMA))
    return {
        'sigma_scale': round(scale, 4),
        'coverage1': round(float(np.mean(ratio <= scale)), 4),
        'coverage2': round(float(np.mean(ratio <= 2 * scale)), 4),
    }
