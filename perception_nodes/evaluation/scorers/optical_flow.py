# SPDX-License-Identifier: Apache-2.0
"""Optical flow: end-point error, Fl, calibration of sigma; every step stands for itself."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import FlowStep, Source, flow_of
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.sigma_plots import sigma_plots
from perception_nodes.evaluation.scorers.timing import timed
from perception_nodes.metrics.flow import FlowMetric
from perception_nodes.types import Array
from perception_nodes.visualization.colors import flow_color, sigma_color

__all__ = ['OpticalFlowScorer']


class OpticalFlowScorer:
    """The older image goes in before the clock starts; a step's time is that of its newer one."""

    headlines = (
        Headline('epe_px', 'low', 'end-point error, px'),
        Headline('fl', 'low', 'outliers (Fl)'),
        Headline('coverage1', '', 'inside one sigma (0.683)'),
    )
    frame_metric = 'epe_px'

    def __init__(self, source: Source) -> None:
        self.source = source

    def predict(self, pipeline: Any, sample: FlowStep) -> tuple[dict[str, Array], float]:
        """Show both images and take what comes out for the newer."""
        pipeline.reset()
        pipeline(sample.older)
        result, elapsed_ms = timed(lambda: pipeline(sample.newer))
        flow = flow_of(result, sample)
        return {'flow_px': flow.flow_px, 'sigma_px': flow.sigma_px}, elapsed_ms

    def metric(self) -> FlowMetric:
        """Make an empty metric."""
        return FlowMetric()

    def score(self, metric: FlowMetric, sample: FlowStep, arrays: dict[str, Any]) -> None:
        """Add one step."""
        metric.update(arrays['flow_px'], sample.truth_px, arrays['sigma_px'])

    def images(self, sample: FlowStep, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show the image, both flows in one scale, and the error."""
        error = np.hypot(*np.moveaxis(arrays['flow_px'] - sample.truth_px, -1, 0))
        length = np.hypot(*np.moveaxis(sample.truth_px, -1, 0))
        known = length[np.isfinite(length)]
        longest = max(float(np.percentile(known, 99.0)), 0.5) if known.size else None
        return (
            ReportImage(sample.newer.data, f'{sample.name}: newer image'),
            ReportImage(flow_color(arrays['flow_px'], longest), 'flow'),
            ReportImage(flow_color(sample.truth_px, longest), 'truth', exact=True),
            ReportImage(sigma_color(error, 3.0), 'error, 0 to 3 px', exact=True),
        )

    def plots(self, metrics: Mapping[str, FlowMetric]) -> tuple[Plot, ...]:
        """Draw the worth of sigma."""
        return sigma_plots(metrics)
