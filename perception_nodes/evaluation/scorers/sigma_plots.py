# SPDX-License-Identifier: Apache-2.0
"""The two drawings of a sigma: coverage and sparsification; used by depth and flow."""

from collections.abc import Mapping
from typing import Any

from perception_nodes.evaluation.plots import reliability, sparsification
from perception_nodes.evaluation.report_parts import Plot

__all__ = ['sigma_plots']


def sigma_plots(metrics: Mapping[str, Any]) -> tuple[Plot, ...]:
    """Draw the first method's sigma (ours); nothing if it gave none."""
    metric = next(iter(metrics.values()))
    plots = []
    if metric.calibration.compute()['coverage1'] == metric.calibration.compute()['coverage1']:
        plots.append(
            reliability(
                metric.calibration.curve(),
                'How often the truth lies inside the central interval that sigma promises; '
                'above the diagonal sigma is too large, below too small',
                x_label='promised',
                y_label='observed',
            )
        )
    curve = metric.sparsification.curve()
    if curve is not None:
        plots.append(
            sparsification(curve, 'Error that is left when the most uncertain pixels are removed')
        )
    return tuple(plots)
