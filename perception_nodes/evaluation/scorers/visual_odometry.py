# SPDX-License-Identifier: Apache-2.0
"""Visual odometry: drift, end error, and whether the covariance holds; a drive in order."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_nodes.evaluation.plots import lines, trajectory
from perception_nodes.evaluation.report_parts import Plot, ReportImage
from perception_nodes.evaluation.samples import OdometryFrame, Source
from perception_nodes.evaluation.scorers.scorer import Headline
from perception_nodes.evaluation.scorers.timing import timed
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.types import Array

__all__ = ['VisualOdometryScorer']


class VisualOdometryScorer:
    """The pipeline runs alone, on the pair; depth and mask are not handed to it."""

    headlines = (
        Headline('end_error_percent', 'low', 'end error, % of the path'),
        Headline('t_rel_percent', 'low', 'drift, %'),
        Headline('ate_m', 'low', 'ATE, m'),
    )
    frame_metric = ''

    def __init__(self, source: Source) -> None:
        self.settings = source.settings or {}

    def predict(self, pipeline: Any, sample: OdometryFrame) -> tuple[dict[str, Array], float]:
        """Run the pipeline on the next pair of the drive."""
        odometry, elapsed_ms = timed(lambda: pipeline(sample.left, sample.right, sample.rig))
        return {
            'odom_from_base': odometry.odom_from_base,
            'pose_covariance': odometry.pose_covariance,
            'tracking': np.array(odometry.tracking),
        }, elapsed_ms

    def metric(self) -> OdometryMetric:
        """Make an empty metric."""
        return OdometryMetric(self.settings.get('segments_m'))

    def score(
        self, metric: OdometryMetric, sample: OdometryFrame, arrays: dict[str, Any]
    ) -> None:
        """Add one frame."""
        metric.update(
            arrays['odom_from_base'],
            sample.truth_odom_from_base,
            pose_covariance=arrays['pose_covariance'],
            tracking=bool(arrays['tracking']),
        )

    def images(self, sample: OdometryFrame, arrays: dict[str, Any]) -> tuple[ReportImage, ...]:
        """Show the left image and where it was taken."""
        x, y, z = (float(metres) for metres in arrays['odom_from_base'][:3, 3])
        return (ReportImage(sample.left.data, f'{sample.name}: at {x:.1f}, {y:.1f}, {z:.1f} m'),)

    def plots(self, metrics: Mapping[str, OdometryMetric]) -> tuple[Plot, ...]:
        """Draw all paths from above and how the errors grow."""
        paths = {name: metric.trajectories()[0] for name, metric in metrics.items()}
        truth = next(iter(metrics.values())).trajectories()[1]
        errors = {name: metric.position_errors_m() for name, metric in metrics.items()}
        return (
            trajectory({**paths, 'truth': truth}, 'Path from above'),
            lines(errors, 'Distance from the truth', y_label='m'),
        )
