# SPDX-License-Identifier: Apache-2.0
"""What the classical flows share: run there and back, and take the gap as the sigma."""

from collections.abc import Callable

import numpy as np

from perception_nodes.inference.classical.dis import gap_there_and_back
from perception_nodes.pipelines.images import grey
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig, Previous, image_flow
from perception_nodes.types import Array, FloatArray, Flow, Image

Estimate = Callable[[Array, Array], FloatArray]
"""Two images uint8 [H, W] -> float32 [H, W, 2], from the first to the second on the first's."""


class TwoWayFlowPipeline:
    """A classical estimator as a pipeline: keeps the previous image as the released one does.

    The estimator has no uncertainty of its own. One sigma is
    ``hypot(floor_px, gap_share * gap)``, the gap being how far the way there and back misses its
    start: large where a point is occluded or the match is wrong.

    Parameters
    ----------
    estimate : the estimator. floor_px, gap_share : of sigma. config : as the released pipeline's.
    """

    runners = ()

    def __init__(
        self, estimate: Estimate, floor_px: float, gap_share: float, config: OpticalFlowConfig
    ) -> None:
        self.estimate, self.floor_px, self.gap_share = estimate, floor_px, gap_share
        self.config = config
        self.previous = Previous(config.max_interval_s)

    def reset(self) -> None:
        """Forget the previous image."""
        self.previous.forget()

    def __call__(self, image: Image) -> Flow | None:
        """Compare with the previous image; None for the first and after a reset."""
        before = self.previous.swap(image)
        if before is None:
            return None
        older, newest = grey(before), grey(image)
        # The package's flow points to where a point came from: the negative of newest -> older.
        flow_px = -self.estimate(newest, older)
        gap = there_and_back(flow_px, self.estimate(older, newest))
        sigma_px = np.hypot(self.floor_px, self.gap_share * gap).astype(np.float32)
        return image_flow(before, image, flow_px, sigma_px, self.config)


def there_and_back(flow_px: FloatArray, forward_px: FloatArray) -> FloatArray:
    """How far a point that is traced back and forward again misses its start, float32 [H, W] px.

    As ``gap_there_and_back``; where the way leads out of the image, the length of the flow (but
    1 px at least).
    """
    gap = gap_there_and_back(flow_px, forward_px)
    outside = np.maximum(np.linalg.norm(flow_px, axis=2), 1.0)
    return np.where(np.isfinite(gap), gap, outside).astype(np.float32)
