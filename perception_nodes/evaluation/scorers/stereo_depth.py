# SPDX-License-Identifier: Apache-2.0
"""Stereo: disparity on what both cameras see, calibration of its sigma, and depth in metres."""

from collections.abc import Mapping

import numpy as np

from perception_nodes.evaluation.bag_topics import DISPARITY
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.evaluation.scorers.mono_depth import depth_images
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.evaluation.scorers.sigma_plots import mean_of_finite, or_none, sigma_plots
from perception_nodes.metrics.disparity import DisparityMetric
from perception_nodes.types import Depth, FloatArray, Image
from perception_nodes.visualization.colors import sigma_color

__all__ = ['StereoDepthScorer']


class StereoDepthScorer(Scorer):
    """Disparity is scored where both cameras see the point, depth wherever it is known."""

    task = 'stereo_depth'
    metric_type = DisparityMetric
    truth_topic = DISPARITY
    headlines = ('d1', 'epe_px', 'coverage1')
    frame_label = 'mean disparity error, px'

    def score(
        self, metric: DisparityMetric, truth: GroundTruth, result: Depth
    ) -> float | None:
        """Add one frame; the sigma of recorded topics is that of depth, turned into pixels."""
        if truth.depth_m is not None:
            metric.update_depth(result.depth_m, truth.depth_m)
        if truth.disparity_px is None or result.disparity_px is None:
            return None
        metric.update(result.disparity_px, truth.disparity_px, _disparity_sigma_px(result))
        return mean_of_finite(np.abs(result.disparity_px - truth.disparity_px))

    def images(
        self, image: Image | None, truth: GroundTruth, result: Depth,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show depth, its ground truth, relative sigma and the error of disparity."""
        images = depth_images('stereo depth', truth, result)
        if truth.disparity_px is not None and result.disparity_px is not None:
            error = np.abs(result.disparity_px - truth.disparity_px)
            images.append(ReportImage(sigma_color(error, 5.0), 'error of disparity, 0 to 5 px'))
        return images

    def plots(self, metrics: Mapping[str, DisparityMetric]) -> tuple[Plot, ...]:
        """Draw calibration and sparsification."""
        return sigma_plots(metrics)


def _disparity_sigma_px(result: Depth) -> FloatArray | None:
    """One sigma of the disparity; from that of depth if need be: sigma_d = sigma_z f b / z^2."""
    if result.disparity_sigma_px is not None:
        return result.disparity_sigma_px
    if result.baseline_m <= 0.0 or or_none(result.sigma_m) is None:
        return None
    scale = np.float32(result.camera.p[0, 0] * result.baseline_m)
    return np.asarray(result.sigma_m * scale / result.depth_m**2, np.float32)
