# SPDX-License-Identifier: Apache-2.0
"""Depth from one image: the errors of Eigen et al., as it is and after median scaling."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.datasets.samples import DepthImage
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.sigma_plots import sigma_plots
from perception_nodes.evaluation.scorers.timing import timed
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.types import Array
from perception_nodes.visualization.colors import depth_color, sigma_color

__all__ = ['MonoDepthScorer']


class MonoDepthScorer:
    """Range and crop come with the data set."""

    headlines = (
        Headline('abs_rel', 'low', 'Abs Rel, metric'),
        Headline('abs_rel_median_scaled', 'low', 'Abs Rel, median scaled'),
        Headline('coverage1', '', 'inside one sigma (0.683)'),
    )
    frame_metric = 'abs_rel'

    def __init__(self, source: Source) -> None:
        self.settings = source.settings or {}

    def predict(self, pipeline: Any, sample: DepthImage) -> tuple[dict[str, Array], float]:
        """Run the pipeline."""
        depth, elapsed_ms = timed(lambda: pipeline(sample.image, sample.camera))
        return {'depth_m': depth.depth_m, 'sigma_m': depth.sigma_m}, elapsed_ms

    def metric(self) -> DepthMetric:
        """Make an empty metric."""
        return DepthMetric(
            min_depth_m=self.settings.get('min_depth_m', 1e-3),
            max_depth_m=self.settings.get('max_depth_m', 80.0),
            crop=self.settings.get('crop', False),
        )

    def score(self, metric: DepthMetric, sample: DepthImage, arrays: dict[str, Any]) -> None:
        """Add one frame."""
        metric.update(arrays['depth_m'], sample.depth_m, arrays['sigma_m'])

    def images(self, sample: DepthImage, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show the image, depth, truth and relative sigma."""
        far = self.settings.get('max_depth_m', 80.0)
        near = far / 40.0
        relative = arrays['sigma_m'] / np.where(arrays['depth_m'] > 0, arrays['depth_m'], np.nan)
        scale = f'{near:g} m (red) to {far:g} m (blue)'
        return (
            ReportImage(sample.image.data, f'{sample.name}: image'),
            ReportImage(depth_color(arrays['depth_m'], near, far), f'depth, {scale}'),
            ReportImage(depth_color(sample.depth_m, near, far), f'truth, {scale}', exact=True),
            ReportImage(sigma_color(relative, 0.5), 'sigma over depth, 0 to 0.5'),
        )

    def plots(self, metrics: Mapping[str, DepthMetric]) -> tuple[Plot, ...]:
        """Draw the worth of sigma."""
        return sigma_plots(metrics)
