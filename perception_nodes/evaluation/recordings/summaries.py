# SPDX-License-Identifier: Apache-2.0
"""Statistics of results alone, for bags without ground truth: shares, medians, lengths."""

from collections import defaultdict
from typing import Any

import numpy as np

from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import Depth, FloatArray, Flow, Odometry, PlaceMatches, Segmentation

__all__ = ['Summary']

# Medians are over every 4th pixel in both directions: a sixteenth is plenty.
_STEP = (slice(None, None, 4), slice(None, None, 4))


class Summary:
    """Means over the frames of each task."""

    infos = (
        MetricInfo('frames', 'frames', 'Frames that have a result.'),
        MetricInfo('mean_confidence', 'mean confidence', 'Mean over all pixels.'),
        MetricInfo('mean_uncertainty', 'mean entropy', 'Mean over all pixels.'),
        MetricInfo('density', 'density', 'Mean share of the pixels that have an estimate.'),
        MetricInfo('median_depth_m', 'median depth', 'Mean over the frames.', 'm'),
        MetricInfo('median_sigma_m', 'median sigma', 'Mean over the frames.', 'm'),
        MetricInfo('median_flow_px', 'median flow', 'Mean over the frames.', 'px'),
        MetricInfo('median_sigma_px', 'median sigma', 'Mean over the frames.', 'px'),
        MetricInfo('path_m', 'length of the path', 'Of the estimated positions.', 'm'),
        MetricInfo('tracked_fraction', 'frames tracked', 'Share of frames with odometry.'),
        MetricInfo('mean_inliers', 'mean inliers', 'Matches that agree, mean over the frames.'),
        MetricInfo('with_candidates', 'images with candidates', 'Images that had a candidate.'),
        MetricInfo('verified', 'images with a verified place', 'Images that had one.'),
        MetricInfo('mean_best_similarity', 'mean best similarity',
                   'Of the images that had a candidate.'),
    )  # fmt: skip

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._frames: dict[str, int] = defaultdict(int)
        self._path_m = 0.0
        self._last_position: FloatArray | None = None
        self._verified = 0

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
        if 'place_recognition' in summary:
            similarities = self._values['place_recognition']['mean_best_similarity']
            summary['place_recognition'] |= {
                'with_candidates': len(similarities), 'verified': self._verified
            }
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
        if isinstance(result, PlaceMatches):
            self._verified += any(match.inliers > 0 for match in result.matches)
            if result.matches:
                best = max(match.similarity for match in result.matches)
                return {'mean_best_similarity': best}
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
