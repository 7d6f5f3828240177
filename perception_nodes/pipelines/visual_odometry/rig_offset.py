# SPDX-License-Identifier: Apache-2.0
"""The disparity offset that is left of a rig's yaw after calibration, learned while driving.

If the right camera is turned by a fraction of a milliradian, all disparities are wrong alike; far
and near points then yield different speeds, which is how the offset shows. (On KITTI's sequence 06
it is a fifth of a pixel, one per cent of the path.) Tracking has small biases of the same look, so
an offset is only applied as far as it exceeds what they could make.
"""

from perception_nodes.pipelines.visual_odometry.projection import StereoProjection

BIAS_RAD = 8e-5  # offsets that tracking alone produces on exactly calibrated rigs
_CORRELATION = 2.0  # errors within a window are alike: it holds less information than it seems to
_STEADY_PX = 0.03  # never held for better known: rigs warm up


class RigOffset:
    """Estimate of one rig.

    Attributes
    ----------
    mean_px, information : measured minus true disparity, and what is known of it, 1/px².
    applied_px : what is subtracted from measured disparities.
    """

    def __init__(self, yaw_sigma_rad: float, projection: StereoProjection) -> None:
        self.mean_px = 0.0
        self.applied_px = 0.0
        self._frozen = yaw_sigma_rad == 0
        self._bias_px = BIAS_RAD * projection.fx
        self._least_information = 1.0 / max(yaw_sigma_rad * projection.fx, 1e-4) ** 2
        self.information = self._least_information

    @property
    def variance_px2(self) -> float:
        """Of what is left after the applied offset."""
        if self._frozen:
            return 1.0 / self._least_information
        return 1.0 / self.information + self._bias_px**2

    def update(self, surplus_px: float, variance_px2: float) -> None:
        """Add a window's estimate: by how much the offset exceeds the applied one."""
        if self._frozen:
            return
        added = 1.0 / (_CORRELATION * max(variance_px2, 1e-9))
        gain = added / (self.information + added)
        self.mean_px += gain * (self.applied_px + surplus_px - self.mean_px)
        most = max(self._least_information, 1.0 / _STEADY_PX**2)
        self.information = min(self.information + added, most)
        squared = self.mean_px**2
        self.applied_px = self.mean_px * squared / (squared + self._bias_px**2)
