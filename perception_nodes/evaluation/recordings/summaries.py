# SPDX-License-Identifier: Apache-2.0
"""What results say by themselves, for bags without truth: shares, medians, lengths."""

from collections import defaultdict
from typing import Any

import numpy as np

from perception_nodes.types import Depth, FloatArray, Flow, Odometry, Segmentation

__all__ = ['Summary']

# Medians are over every 4th pixel in both directions: a sixteenth is plenty.
_STEP = (slice(None, None, 4), slice(None, None, 4))


class Summary:
    """Means over the frames of each task."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._frames: dict[str, int] = defaultdict(int)
        self._path_m = 0.0
        self._last_position: FloatArray | None = None

    def add(self, task: str, result: Any) -> None:
        """Count one result."""
        self._frames[task] += 1
        for name, value in self._numbers(result).items():
            if np.isfinite(value):
                self._values[task][name].append(value)

    def compute(self) -> dict[str, dict[str, float]]:
        """Return frames and the means, by task."""
        summary: dict[str, dict[str, float]] = {}
        for task, frames in sorted(self._frames.items()):
            values = self._values[task]
            summary[task] = {'frames': frames} | {
                name: float(np.mean(values[name])) for name in sorted(values)
            }
        if 'visual_odometry' in summary:
            summary['visual_odometry']['path_m'] = self._path_m
        return summary

    def _numbers(self, result: Any) -> dict[str, float]:
        if isinstance(result, Segmentation):
            return {
                'mean_confidence': _mean(result.confidence),
                'mean_uncertainty': _mean(result.entropy),
            }
        if isinstance(result, Depth):
            return {
                'density': float(np.isfinite(result.depth_m).mean()),
                'median_depth_m': _median(result.depth_m),
                'median_sigma_m': _median(result.sigma_m),
            }
        if isinstance(result, Flow):
            return {
                'density': float(np.isfinite(result.flow_px[..., 0]).mean()),
                'median_flow_px': _median(np.linalg.norm(result.flow_px[_STEP], axis=-1)),
                'median_sigma_px': _median(result.sigma_px),
            }
        if isinstance(result, Odometry):
            return self._odometry_numbers(result)
        return {}

    def _odometry_numbers(self, result: Odometry) -> dict[str, float]:
        position = result.odom_from_base[:3, 3]
        if self._last_position is not None:
            self._path_m += float(np.linalg.norm(position - self._last_position))
        self._last_position = position
        return {
            'tracked_fraction': float(result.tracking), 'mean_inliers': float(result.inliers),
        }


def _mean(values: FloatArray) -> float:
    return float(np.mean(values, dtype=np.float64))


def _median(values: FloatArray) -> float:
    sampled = values[_STEP] if min(values.shape[:2]) > 64 else values
    finite = sampled[np.isfinite(sampled)]
    return float(np.median(finite)) if finite.size else float('nan')
