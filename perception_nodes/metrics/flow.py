# SPDX-License-Identifier: Apache-2.0
"""Optical flow: end-point error, Fl, and the calibration of its sigma."""

import numpy as np

from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.disparity import kitti_outlier
from perception_nodes.metrics.info import DENSITY, MetricInfo
from perception_nodes.metrics.uncertainty import ErrorDetection, Sparsification
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['FlowMetric']


class FlowMetric:
    """Pixel counts over the whole set; an invalid prediction (NaN) is an outlier."""

    infos = (
        MetricInfo('epe_px', 'end-point error',
                   'Mean length of the error vector over all valid estimates.', 'px', 'low'),
        MetricInfo('epe_image_px', 'end-point error, mean over images',
                   'Mean over the images of the mean end-point error of each.', 'px', 'low'),
        MetricInfo(
            'fl', 'Fl: off by 3 px and 5 %',
            'Share of the pixels whose flow is off by more than 3 px and more than 5 % of the '
            'ground truth (KITTI 2015); no estimate counts as off.', better='low',
        ),
        DENSITY,
        *GaussianCalibration.infos,
        *ErrorDetection.infos,
        *Sparsification.infos,
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._truth = self._valid = self._outliers = 0
        self._error_px = 0.0
        self._image_error_px: list[float] = []
        self.calibration = GaussianCalibration()
        self.detection = ErrorDetection()
        self.sparsification = Sparsification()

    def update(
        self, flow_px: FloatArray, truth_px: FloatArray, sigma_px: FloatArray | None = None
    ) -> None:
        """Count one image.

        Parameters
        ----------
        flow_px, truth_px : [H, W, 2] on one grid and in one direction; NaN = none.
        sigma_px : [H, W] one sigma of each component.
        """
        if flow_px.shape != truth_px.shape or flow_px.shape[2:] != (2,):
            raise PerceptionError(f'flow {flow_px.shape} and truth {truth_px.shape} do not pair')
        known = np.isfinite(truth_px).all(axis=-1)
        truth = truth_px[known].astype(np.float64)
        difference = flow_px[known].astype(np.float64) - truth
        error = np.hypot(difference[:, 0], difference[:, 1])
        outlier = kitti_outlier(error, np.hypot(truth[:, 0], truth[:, 1]))
        valid = np.isfinite(error)
        self._truth += error.size
        self._valid += int(valid.sum())
        self._outliers += int(outlier.sum())
        self._error_px += float(error[valid].sum())
        if valid.any():
            self._image_error_px.append(float(error[valid].mean()))
        if sigma_px is not None:
            sigma = sigma_px[known].astype(np.float64)
            self.calibration.update(difference, np.stack([sigma, sigma], axis=-1))
            self.detection.update(sigma[valid], outlier[valid])
            self.sparsification.update(sigma, error)

    def compute(self) -> dict[str, float]:
        """Return the numbers of ``infos``."""
        nan = float('nan')
        return {
            'epe_px': self._error_px / self._valid if self._valid else nan,
            'epe_image_px': float(np.mean(self._image_error_px)) if self._image_error_px else nan,
            'fl': self._outliers / self._truth if self._truth else nan,
            'density': self._valid / self._truth if self._truth else nan,
            **self.calibration.compute(),
            **self.detection.compute(),
            **self.sparsification.compute(),
        }
