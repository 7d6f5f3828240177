# SPDX-License-Identifier: Apache-2.0
"""What the scorers of depth and flow share: the two drawings of a sigma, and means."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.evaluation.plots import reliability, sparsification
from perception_nodes.evaluation.report_parts import Plot
from perception_nodes.types import FloatArray

__all__ = ['mean_of_finite', 'or_none', 'sigma_plots']


def sigma_plots(metrics: Mapping[str, Any]) -> tuple[Plot, ...]:
    """Draw the first method's sigma (ours); nothing if it gave none."""
    metric = next(iter(metrics.values()))
    plots = []
    if np.isfinite(metric.calibration.compute()['coverage1']):
        plots.append(
            reliability(
                metric.calibration.curve(),
                'How often the ground truth lies inside the central interval of each nominal '
                'probability; above the diagonal sigma is too large, below too small',
                x_label='nominal',
                y_label='empirical',
            )
        )
    curve = metric.sparsification.curve()
    if curve is not None:
        plots.append(
            sparsification(curve, 'Error that is left when the most uncertain pixels are removed')
        )
    return tuple(plots)


def or_none(values: FloatArray) -> FloatArray | None:
    """None for an array without a finite value, as one that was not recorded."""
    return values if np.isfinite(values).any() else None


def mean_of_finite(values: FloatArray) -> float:
    """Mean without the values that are not finite; NaN if there are no others."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float('nan')
