# SPDX-License-Identifier: Apache-2.0
"""How one task's recorded results are scored against the truth of a bag, frame by frame."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from perception_nodes.datasets.camvid import CLASSES
from perception_nodes.evaluation.recordings.ground_truth import (
    DEPTH,
    LABELS,
    TruePath,
    TruthImages,
    seen_disparity,
    seen_flow,
)
from perception_nodes.evaluation.scorers.segmentation import class_table
from perception_nodes.geometry.se3 import inverse
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.metrics.disparity import DisparityMetric
from perception_nodes.metrics.flow import FlowMetric
from perception_nodes.metrics.odometry import OdometryMetric
from perception_nodes.metrics.segmentation import SegmentationMetric
from perception_nodes.types import UNLABELLED, Depth, FloatArray, Flow, Odometry, Segmentation

__all__ = ['FrameScore', 'frame_scores']


class FrameScore(Protocol):
    """One task.

    Attributes
    ----------
    metric : counts over the frames that had truth; its drawings go into the report.
    frame_value : name of what ``add`` gives.
    """

    metric: Any
    frame_value: str

    def add(self, result: Any) -> float | None:
        """Score one result; give its own error, None if the bag has no truth for it."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the metrics; empty if no frame had truth."""
        ...


class SegmentationScore:
    """Mask against /ground_truth/labels (CamVid's classes), by class names."""

    frame_value = 'pixel accuracy'

    def __init__(self, truth: TruthImages, classes: Sequence[str]) -> None:
        self.metric = SegmentationMetric(CLASSES)
        self._truth = truth
        self._table = class_table(tuple(classes), CLASSES) if LABELS in truth.topics else None
        self._scored = 0

    def add(self, result: Segmentation) -> float | None:
        """Count one mask; the confidence is that of the topic, in steps of 1/255."""
        truth = self._truth.find(LABELS, result.stamp_ns)
        if truth is None or self._table is None:
            return None
        labels = self._table[result.labels]
        self.metric.update(
            labels, truth, confidence=_or_none(result.confidence),
            uncertainty=_or_none(result.entropy),
        )
        self._scored += 1
        known = truth != UNLABELLED
        return float(np.mean(labels[known] == truth[known])) if known.any() else None

    def compute(self) -> dict[str, float]:
        """As SegmentationMetric."""
        return self.metric.compute() if self._scored else {}


class StereoDepthScore:
    """Disparity against its truth where both cameras see the point, and depth against its own."""

    frame_value = 'mean disparity error, px'

    def __init__(self, truth: TruthImages) -> None:
        self.metric = DisparityMetric()
        self._depth = DepthMetric()
        self._truth = truth
        self._scored = 0

    def add(self, result: Depth) -> float | None:
        """Count one depth image."""
        depth = self._truth.find(DEPTH, result.stamp_ns)
        if depth is not None:
            self._depth.update(result.depth_m, depth, _or_none(result.sigma_m))
        disparity = seen_disparity(self._truth, result.stamp_ns)
        if disparity is None or result.disparity_px is None:
            return None
        self.metric.update(result.disparity_px, disparity, _disparity_sigma_px(result))
        self._scored += 1
        return _nanmean(np.abs(result.disparity_px - disparity))

    def compute(self) -> dict[str, float]:
        """DisparityMetric's, and of DepthMetric the errors in metres."""
        if not self._scored:
            return {}
        depth = self._depth.compute()
        return {
            **self.metric.compute(),
            **{name: depth[name] for name in ('abs_rel', 'rmse_m', 'delta1')},
        }


class MonoDepthScore:
    """Depth against /ground_truth/depth."""

    frame_value = 'mean relative depth error'

    def __init__(self, truth: TruthImages) -> None:
        self.metric = DepthMetric()
        self._truth = truth
        self._scored = 0

    def add(self, result: Depth) -> float | None:
        """Count one depth image."""
        truth = self._truth.find(DEPTH, result.stamp_ns)
        if truth is None:
            return None
        self.metric.update(result.depth_m, truth, _or_none(result.sigma_m))
        self._scored += 1
        near = np.where((truth > 0.0) & (truth < self.metric.max_depth_m), truth, np.nan)
        return _nanmean(np.abs(result.depth_m - near) / near)

    def compute(self) -> dict[str, float]:
        """As DepthMetric."""
        return self.metric.compute() if self._scored else {}


class OpticalFlowScore:
    """Flow against /ground_truth/flow, which starts at the image before, where that shows it."""

    frame_value = 'mean end-point error, px'

    def __init__(self, truth: TruthImages) -> None:
        self.metric = FlowMetric()
        self._truth = truth
        self._scored = 0

    def add(self, result: Flow) -> float | None:
        """Count one flow field; one over a longer interval than the truth's is passed over."""
        truth = seen_flow(self._truth, result.stamp_ns)
        before = self._truth.stamp_before(result.stamp_ns)
        if truth is None or before != result.previous_stamp_ns:
            return None
        self.metric.update(result.flow_px, truth, _or_none(result.sigma_px))
        self._scored += 1
        return _nanmean(np.linalg.norm(result.flow_px - truth, axis=-1))

    def compute(self) -> dict[str, float]:
        """As FlowMetric."""
        return self.metric.compute() if self._scored else {}


class VisualOdometryScore:
    """Pose against /ground_truth/odometry, both from the first frame that has both."""

    frame_value = 'distance from the truth, m'

    def __init__(self, path: TruePath) -> None:
        self.metric = OdometryMetric()
        self._path = path
        self._truth_from_odom: FloatArray | None = None
        self._scored = 0

    def add(self, result: Odometry) -> float | None:
        """Count one pose."""
        truth = self._path.at(result.stamp_ns)
        if truth is None:
            return None
        self.metric.update(
            result.odom_from_base, truth, pose_covariance=result.pose_covariance,
            tracking=result.tracking,
        )
        self._scored += 1
        if self._truth_from_odom is None:
            self._truth_from_odom = truth @ inverse(result.odom_from_base)
        apart = (self._truth_from_odom @ result.odom_from_base)[:3, 3] - truth[:3, 3]
        return float(np.linalg.norm(apart))

    def compute(self) -> dict[str, float]:
        """As OdometryMetric."""
        return self.metric.compute() if self._scored > 1 else {}


def frame_scores(
    images: TruthImages, path: TruePath, classes: Sequence[str]
) -> dict[str, FrameScore]:
    """Make an empty score for every task that a bag's truth can evaluate."""
    return {
        'segmentation': SegmentationScore(images, classes),
        'stereo_depth': StereoDepthScore(images),
        'mono_depth': MonoDepthScore(images),
        'optical_flow': OpticalFlowScore(images),
        'visual_odometry': VisualOdometryScore(path),
    }


def _or_none(values: FloatArray) -> FloatArray | None:
    """None for an array that was not recorded (all NaN)."""
    return values if np.isfinite(values).any() else None


def _disparity_sigma_px(result: Depth) -> FloatArray | None:
    """One sigma of the disparity from that of the depth: sigma_d = sigma_z f b / z^2."""
    if result.baseline_m <= 0.0 or not np.isfinite(result.sigma_m).any():
        return None
    scale = np.float32(result.camera.p[0, 0] * result.baseline_m)
    return np.asarray(result.sigma_m * scale / result.depth_m**2, np.float32)


def _nanmean(values: FloatArray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
