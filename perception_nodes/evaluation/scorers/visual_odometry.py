# SPDX-License-Identifier: Apache-2.0
"""Visual odometry: drift, end error, and whether the covariance holds; a sequence in order."""

from collections.abc import Mapping

from perception_nodes.evaluation.bag_topics import ODOMETRY
from perception_nodes.evaluation.plots import trajectory
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.evaluation.scorers.scorer import NO_IMAGES, Scorer
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.types import Image, Odometry

__all__ = ['VisualOdometryScorer']


class VisualOdometryScorer(Scorer):
    """Settings: segment lengths and alignment, see OdometryMetric."""

    task = 'visual_odometry'
    metric_type = OdometryMetric
    truth_topic = ODOMETRY
    headlines = ('end_error_percent', 't_rel_percent', 'ate_m')
    frame_label = 'distance from the ground truth, m'

    def metric(self) -> OdometryMetric:
        """Make an empty metric."""
        return OdometryMetric(**self.settings)

    def score(
        self, metric: OdometryMetric, truth: GroundTruth, result: Odometry
    ) -> float | None:
        """Add one pose."""
        if truth.odom_from_base is None:
            return None
        metric.update(
            result.odom_from_base, truth.odom_from_base, pose_covariance=result.pose_covariance,
            tracking=result.tracking, stamp_ns=result.stamp_ns,
        )
        return metric.last_error_m()

    def images(
        self, image: Image | None, truth: GroundTruth, result: Odometry,
        others: Mapping[int, Image] = NO_IMAGES,
    ) -> list[ReportImage]:
        """Show nothing of a single frame."""
        return []

    def plots(self, metrics: Mapping[str, OdometryMetric]) -> tuple[Plot, ...]:
        """Draw all paths from above."""
        paths = {name: metric.trajectories()[0] for name, metric in metrics.items()}
        truth = next(iter(metrics.values())).trajectories()[1]
        return (trajectory({**paths, 'truth': truth}, 'Path from above'),)
