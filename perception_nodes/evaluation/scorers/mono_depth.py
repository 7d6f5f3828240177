# SPDX-License-Identifier: Apache-2.0
"""Depth from one image: the errors of Eigen et al., as it is and after median scaling."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from perception_nodes.evaluation.bag_topics import DEPTH
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth, Source
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.evaluation.scorers.sigma_plots import mean_of_finite, or_none, sigma_plots
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.types import Depth, Image
from perception_nodes.visualization.colors import depth_color, sigma_color

__all__ = ['MonoDepthScorer', 'depth_images']


class MonoDepthScorer(Scorer):
    """Range and crop come with the data set."""

    task = 'mono_depth'
    metric_type = DepthMetric
    truth_topic = DEPTH
    # The metric clips to the data set's range itself, as the literature does.
    benchmark: ClassVar[Mapping[str, Any]] = {'min_depth_m': 0.0, 'max_depth_m': 1e4}
    headlines = ('abs_rel', 'abs_rel_median_scaled', 'coverage1')
    frame_label = 'mean relative depth error'

    def __init__(
        self, source: Source, model: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(source, model)
        self._base_from_camera = source.base_from_camera

    def metric(self) -> DepthMetric:
        """Make an empty metric."""
        return DepthMetric(**self.settings)

    def score(
        self, metric: DepthMetric, truth: GroundTruth, result: Depth
    ) -> float | None:
        """Add one frame; the flicker is computed from its pose and the camera's mount."""
        if truth.odom_from_base is not None and self._base_from_camera is not None:
            pose = truth.odom_from_base @ self._base_from_camera
            k = result.camera.rectified_k
            metric.flicker.update(result.stamp_ns, result.depth_m, k, pose)
        if truth.depth_m is None:
            return None
        metric.update(result.depth_m, truth.depth_m, or_none(result.sigma_m))
        known = (truth.depth_m > metric.min_depth_m) & (truth.depth_m < metric.max_depth_m)
        true_m = np.where(known, truth.depth_m, np.nan)
        return mean_of_finite(np.abs(result.depth_m - true_m) / true_m)

    def images(
        self, image: Image | None, truth: GroundTruth, result: Depth,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show depth, its ground truth and relative sigma."""
        return depth_images('mono depth', truth, result)

    def plots(self, metrics: Mapping[str, DepthMetric]) -> tuple[Plot, ...]:
        """Draw calibration and sparsification."""
        return sigma_plots(metrics)


def depth_images(name: str, truth: GroundTruth, result: Depth) -> list[ReportImage]:
    """Show depth and ground truth on one scale, that of the ground truth where it is known."""
    scale = result.depth_m if truth.depth_m is None else truth.depth_m
    valid = scale[np.isfinite(scale) & (scale > 0.0)]
    near, far = np.percentile(valid, (2.0, 98.0)) if valid.size else (1.0, 100.0)
    ends = f'{near:.1f} m (red) to {far:.1f} m (blue)'
    images = [ReportImage(depth_color(result.depth_m, near, far), f'{name}, {ends}')]
    if truth.depth_m is not None:
        true = depth_color(truth.depth_m, near, far)
        images.append(ReportImage(true, 'true depth', exact=True))
    relative = result.sigma_m / np.where(result.depth_m > 0, result.depth_m, np.nan)
    images.append(ReportImage(
        sigma_color(relative, 0.5), f'sigma of {name} over depth, 0 to 50 %'
    ))
    return images
