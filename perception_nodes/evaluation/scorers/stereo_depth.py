# SPDX-License-Identifier: Apache-2.0
"""Stereo: D1 and end-point error of disparity on what both cameras see, calibration of sigma."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.datasets.samples import StereoPair
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.sigma_plots import sigma_plots
from perception_nodes.evaluation.scorers.timing import timed
from perception_nodes.metrics.disparity import DisparityMetric
from perception_nodes.types import Array
from perception_nodes.visualization.colors import depth_color, sigma_color

__all__ = ['StereoDepthScorer']


class StereoDepthScorer:
    """Disparity is scored; pixels that one camera alone sees are not."""

    headlines = (
        Headline('d1', 'low', 'D1, not occluded'),
        Headline('epe_px', 'low', 'disparity error, px'),
        Headline('coverage1', '', 'inside one sigma (0.683)'),
    )
    frame_metric = 'd1'

    def __init__(self, source: Source) -> None:
        self.source = source

    def predict(self, pipeline: Any, sample: StereoPair) -> tuple[dict[str, Array], float]:
        """Run the pipeline."""
        depth, elapsed_ms = timed(lambda: pipeline(sample.left, sample.right, sample.rig))
        arrays = {'disparity_px': depth.disparity_px}
        if depth.disparity_sigma_px is not None:
            arrays['sigma_px'] = depth.disparity_sigma_px
        return arrays, elapsed_ms

    def metric(self) -> DisparityMetric:
        """Make an empty metric."""
        return DisparityMetric()

    def score(self, metric: DisparityMetric, sample: StereoPair, arrays: dict[str, Any]) -> None:
        """Add one frame."""
        truth = np.where(sample.visible, sample.disparity_px, np.nan)
        metric.update(arrays['disparity_px'], truth, arrays.get('sigma_px'))

    def images(self, sample: StereoPair, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show the image, inverse depth, sigma and error."""
        error = np.abs(arrays['disparity_px'] - sample.disparity_px)
        images = [
            ReportImage(sample.left.data, f'{sample.name}: left image'),
            ReportImage(_disparity_color(arrays['disparity_px']), 'disparity, red is near'),
        ]
        if 'sigma_px' in arrays:
            images.append(ReportImage(sigma_color(arrays['sigma_px'], 3.0), 'sigma, 0 to 3 px'))
        images.append(ReportImage(sigma_color(error, 5.0), 'error, 0 to 5 px', exact=True))
        return tuple(images)

    def plots(self, metrics: Mapping[str, DisparityMetric]) -> tuple[Plot, ...]:
        """Draw the worth of sigma."""
        return sigma_plots(metrics)


def _disparity_color(disparity_px: Any) -> Array:
    """Colour by the logarithm of disparity: the scale of depth, whatever the baseline."""
    positive = np.where(disparity_px > 0.5, disparity_px, np.nan)
    return depth_color(100.0 / positive)
