# SPDX-License-Identifier: Apache-2.0
"""Stereo disparity: D1, end-point error, bad-N, and the calibration of its sigma."""

import numpy as np

from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.depth import DepthMetric
from perception_nodes.metrics.info import DENSITY, MetricInfo
from perception_nodes.metrics.uncertainty import ErrorDetection, Sparsification
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['DisparityMetric', 'kitti_outlier']

_BAD_PX = (1, 2, 3)
_METRIC_NAMES = ('abs_rel', 'rmse_m', 'delta1')


def kitti_outlier(error_px: FloatArray, magnitude_px: FloatArray) -> np.ndarray:
    """KITTI 2015's outliers: more than 3 px AND more than 5 % of the truth; NaN is one.

    M. Menze and A. Geiger, "Object scene flow for autonomous vehicles", CVPR 2015.
    """
    inlier = (error_px <= 3.0) | (error_px <= 0.05 * magnitude_px)
    return np.asarray(~inlier)


class DisparityMetric:
    """Pixel counts over the whole set; an invalid prediction (NaN) is an outlier and a bad one.

    Errors in metres are added where the ground truth holds depth as well.
    """

    infos = (
        MetricInfo(
            'd1', 'D1: off by 3 px and 5 %',
            'Share of the pixels whose disparity is off by more than 3 px and more than 5 % of '
            'the ground truth (KITTI 2015); no estimate counts as off.', better='low',
        ),
        MetricInfo('epe_px', 'end-point error', 'Mean absolute error of the valid estimates.',
                   'px', 'low'),
        MetricInfo(
            'bad<n>', 'off by over <n> px',
            'Share of the pixels whose disparity is off by more than N px (Middlebury); no '
            'estimate counts as off.', better='low',
        ),
        DENSITY,
        *GaussianCalibration.infos,
        *ErrorDetection.infos,
        *Sparsification.infos,
        *(info for info in DepthMetric.infos if info.name in _METRIC_NAMES),
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._truth = self._valid = self._outliers = 0
        self._error_px = 0.0
        self._bad = dict.fromkeys(_BAD_PX, 0)
        self.calibration = GaussianCalibration()
        self.detection = ErrorDetection()
        self.sparsification = Sparsification()
        self._depth = DepthMetric()

    def update(
        self,
        disparity_px: FloatArray,
        truth_px: FloatArray,
        sigma_px: FloatArray | None = None,
    ) -> None:
        """Count one image.

        Parameters
        ----------
        disparity_px : [H, W], NaN = no estimate.
        truth_px : [H, W], NaN = no truth (or not to be scored).
        sigma_px : [H, W] one sigma of the estimate.
        """
        if disparity_px.shape != truth_px.shape:
            raise PerceptionError(
                f'disparity {disparity_px.shape} and truth {truth_px.shape} do not pair'
            )
        known = np.isfinite(truth_px)
        truth = truth_px[known].astype(np.float64)
        signed = disparity_px[known].astype(np.float64) - truth
        error = np.abs(signed)
        outlier = kitti_outlier(error, truth)
        valid = np.isfinite(error)
        self._truth += truth.size
        self._valid += int(valid.sum())
        self._outliers += int(outlier.sum())
        self._error_px += float(error[valid].sum())
        for limit in _BAD_PX:
            self._bad[limit] += int(np.count_nonzero(~(error <= limit)))
        if sigma_px is not None:
            sigma = sigma_px[known].astype(np.float64)
            self.calibration.update(signed, sigma)
            self.detection.update(sigma[valid], outlier[valid])
            self.sparsification.update(sigma, error)

    def update_depth(self, depth_m: FloatArray, truth_m: FloatArray) -> None:
        """Count the depth of one image: [H, W] metres, NaN = none; ground truth up to 80 m."""
        self._depth.update(depth_m, truth_m)

    def compute(self) -> dict[str, float]:
        """Return the numbers of ``infos``; of depth only where it was counted."""
        nan = float('nan')
        depth = self._depth.compute()
        return {
            'd1': self._outliers / self._truth if self._truth else nan,
            'epe_px': self._error_px / self._valid if self._valid else nan,
            **{
                f'bad{limit}': count / self._truth if self._truth else nan
                for limit, count in self._bad.items()
            },
            'density': self._valid / self._truth if self._truth else nan,
            **self.calibration.compute(),
            **self.detection.compute(),
            **self.sparsification.compute(),
            **{name: depth[name] for name in _METRIC_NAMES},
        }
