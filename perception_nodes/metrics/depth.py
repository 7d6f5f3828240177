# SPDX-License-Identifier: Apache-2.0
"""Depth: the errors of Eigen et al. with and without median scaling, and its sigma's calibration.

D. Eigen, C. Puhrsch, R. Fergus, "Depth map prediction from a single image", NIPS 2014; crop of
R. Garg et al., ECCV 2016. The literature averages images, not pixels, and so does this.
"""

from dataclasses import replace

import numpy as np

from perception_nodes.metrics.calibration import GaussianCalibration
from perception_nodes.metrics.depth_flicker import DepthFlicker
from perception_nodes.metrics.info import DENSITY, MetricInfo
from perception_nodes.metrics.uncertainty import ErrorDetection, Sparsification
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['DepthMetric', 'garg_crop']

_EIGEN = (
    MetricInfo('abs_rel', 'Abs Rel', 'Mean of the absolute error over the true depth.',
               better='low'),
    MetricInfo('sq_rel_m', 'Sq Rel', 'Mean of the squared error over the true depth.', 'm', 'low'),
    MetricInfo('rmse_m', 'RMSE', 'Root mean square error.', 'm', 'low'),
    MetricInfo('rmse_log', 'RMSE of the logarithm',
               'Root mean square error of the natural logarithm of depth.', better='low'),
    *(
        MetricInfo(
            f'delta{power}', f'off by less than 1.25{sign} times',
            f'Share of the pixels with max(d / t, t / d) below 1.25{sign}.', better='high',
        )
        for power, sign in ((1, ''), (2, '\N{SUPERSCRIPT TWO}'), (3, '\N{SUPERSCRIPT THREE}'))
    ),
)  # fmt: skip
_NAMES = tuple(info.name for info in _EIGEN)
_DELTA1 = 1.25


def garg_crop(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the crop that KITTI depth is scored on."""
    rows = slice(int(0.40810811 * height), int(0.99189189 * height))
    return rows, slice(int(0.03594771 * width), int(0.96405229 * width))


class DepthMetric:
    """Means over images; predictions are clipped to the range, NaN ones lower the valid share.

    Parameters
    ----------
    min_depth_m, max_depth_m : truth outside is not scored (KITTI: 0.001 to 80).
    crop : score Garg's crop only.

    Attributes
    ----------
    flicker : to be updated with the frames of a sequence, scored or not.
    """

    infos = (
        *(
            replace(info, definition=f'{info.definition} Mean over the images (Eigen et al., '
                    'NIPS 2014).')
            for info in _EIGEN
        ),
        *(
            replace(
                info, name=f'{info.name}_median_scaled', label=f'{info.label}, median-scaled',
                definition=f'{info.name} after each image is scaled to the median of its ground '
                'truth.',
            )
            for info in _EIGEN
        ),
        MetricInfo('median_scale', 'median scale',
                   'Median over the images of median true over median estimated depth; 1 if the '
                   'scale is right.'),
        DENSITY,
        *GaussianCalibration.infos,
        *ErrorDetection.infos,
        *Sparsification.infos,
        *DepthFlicker.infos,
    )  # fmt: skip

    def __init__(
        self, min_depth_m: float = 1e-3, max_depth_m: float = 80.0, crop: bool = False
    ) -> None:
        if not 0.0 < min_depth_m < max_depth_m:
            raise PerceptionError(f'depth range {min_depth_m:g}..{max_depth_m:g} m is empty')
        self.min_depth_m, self.max_depth_m, self.crop = min_depth_m, max_depth_m, crop
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._images: list[FloatArray] = []
        self._scaled: list[FloatArray] = []
        self._scales: list[float] = []
        self._truth = self._valid = 0
        self.calibration = GaussianCalibration()
        self.detection = ErrorDetection()
        self.sparsification = Sparsification()
        self.flicker = DepthFlicker()

    def update(
        self, depth_m: FloatArray, truth_m: FloatArray, sigma_m: FloatArray | None = None
    ) -> None:
        """Count one image.

        Parameters
        ----------
        depth_m, truth_m : [H, W] metres, NaN = none.
        sigma_m : [H, W] one sigma of the estimate, metres.
        """
        if depth_m.shape != truth_m.shape or depth_m.ndim != 2:
            raise PerceptionError(f'depth {depth_m.shape} and truth {truth_m.shape} do not pair')
        if self.crop:
            window = garg_crop(*depth_m.shape)
            depth_m, truth_m = depth_m[window], truth_m[window]
            sigma_m = sigma_m[window] if sigma_m is not None else None
        known = (truth_m > self.min_depth_m) & (truth_m < self.max_depth_m)
        valid = known & np.isfinite(depth_m)
        self._truth += int(known.sum())
        self._valid += int(valid.sum())
        if not valid.any():
            return
        truth, raw = truth_m[valid].astype(np.float64), depth_m[valid].astype(np.float64)
        estimate = np.clip(raw, self.min_depth_m, self.max_depth_m)
        scale = float(np.median(truth) / max(np.median(raw), self.min_depth_m))
        self._images.append(_errors(estimate, truth))
        self._scales.append(scale)
        self._scaled.append(
            _errors(np.clip(raw * scale, self.min_depth_m, self.max_depth_m), truth)
        )
        if sigma_m is not None:
            sigma = sigma_m[valid].astype(np.float64)
            ratio = np.maximum(estimate / truth, truth / estimate)
            self.calibration.update(raw - truth, sigma)
            self.detection.update(sigma, ratio >= _DELTA1)
            self.sparsification.update(sigma, np.abs(estimate - truth))

    def compute(self) -> dict[str, float]:
        """Return the numbers of ``infos``."""
        nan = float('nan')
        empty = np.full(len(_NAMES), nan)
        plain = np.mean(self._images, axis=0) if self._images else empty
        scaled = np.mean(self._scaled, axis=0) if self._scaled else empty
        return {
            **dict(zip(_NAMES, map(float, plain), strict=True)),
            **{f'{n}_median_scaled': float(v) for n, v in zip(_NAMES, scaled, strict=True)},
            'median_scale': float(np.median(self._scales)) if self._scales else nan,
            'density': self._valid / self._truth if self._truth else nan,
            **self.calibration.compute(),
            **self.detection.compute(),
            **self.sparsification.compute(),
            **self.flicker.compute(),
        }


def _errors(estimate_m: FloatArray, truth_m: FloatArray) -> FloatArray:
    difference = estimate_m - truth_m
    ratio = np.maximum(estimate_m / truth_m, truth_m / estimate_m)
    logarithm = np.log(estimate_m) - np.log(truth_m)
    return np.array(
        [
            np.mean(np.abs(difference) / truth_m),
            np.mean(difference**2 / truth_m),
            np.sqrt(np.mean(difference**2)),
            np.sqrt(np.mean(logarithm**2)),
            *(np.mean(ratio < _DELTA1**power) for power in (1, 2, 3)),
        ]
    )
