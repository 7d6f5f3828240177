# SPDX-License-Identifier: Apache-2.0
"""Optical flow: end-point error, Fl, calibration of sigma."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from perception_nodes.evaluation.bag_topics import FLOW
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.evaluation.scorers.sigma_plots import mean_of_finite, or_none, sigma_plots
from perception_nodes.metrics.flow import FlowMetric
from perception_nodes.types import FloatArray, Flow, Image
from perception_nodes.visualization.colors import flow_color, sigma_color

__all__ = ['OpticalFlowScorer']


class OpticalFlowScorer(Scorer):
    """Flow over a longer interval than that of the ground truth is not scored."""

    task = 'optical_flow'
    metric_type = FlowMetric
    truth_topic = FLOW
    benchmark: ClassVar[Mapping[str, Any]] = {'keep_leaving': True}
    headlines = ('epe_px', 'fl', 'coverage1')
    frame_label = 'mean end-point error, px'

    def score(
        self, metric: FlowMetric, truth: GroundTruth, result: Flow
    ) -> float | None:
        """Add one step."""
        true_px = _true_flow(truth, result)
        if true_px is None:
            return None
        metric.update(result.flow_px, true_px, or_none(result.sigma_px))
        return mean_of_finite(np.linalg.norm(result.flow_px - true_px, axis=-1))

    def images(
        self, image: Image | None, truth: GroundTruth, result: Flow,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show flow and ground truth on one scale, the error and sigma."""
        true_px = _true_flow(truth, result)
        length = np.linalg.norm(result.flow_px if true_px is None else true_px, axis=-1)
        longest = max(_percentile(length, 99.0), 0.5)
        images = [ReportImage(
            flow_color(result.flow_px, longest), f'flow, full colour is {longest:.1f} px'
        )]
        if true_px is not None:
            error = np.linalg.norm(result.flow_px - true_px, axis=-1)
            images += [
                ReportImage(flow_color(true_px, longest), 'true flow', exact=True),
                ReportImage(sigma_color(error, 5.0), 'error of flow, 0 to 5 px'),
            ]
        top = _percentile(result.sigma_px, 98.0)
        images.append(
            ReportImage(sigma_color(result.sigma_px, top), f'sigma of flow, 0 to {top:.1f} px')
        )
        return images

    def plots(self, metrics: Mapping[str, FlowMetric]) -> tuple[Plot, ...]:
        """Draw calibration and sparsification."""
        return sigma_plots(metrics)


def _true_flow(truth: GroundTruth, result: Flow) -> FloatArray | None:
    """Ground truth of the interval that the result is about, if it is known."""
    if truth.flow_px is None or truth.flow_from_ns != result.previous_stamp_ns:
        return None
    return truth.flow_px


def _percentile(values: FloatArray, percent: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, percent)) if finite.size else 1.0
