# SPDX-License-Identifier: Apache-2.0
"""Flow by polynomial expansion (Farneback 2003), OpenCV's calcOpticalFlowFarneback."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from perception_nodes.evaluation.baselines.two_way_flow import TwoWayFlowPipeline
from perception_nodes.pipelines.images import require_range
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig
from perception_nodes.types import Array, FloatArray


@dataclass(frozen=True)
class FarnebackFlowConfig:
    """How to search.

    Attributes
    ----------
    levels : of the pyramid, each half the size of the one before. window_px : averaging window.
    floor_px, gap_share : sigma is ``hypot(floor_px, gap_share * gap there and back)``.
    flow : what counts as motion.
    """

    levels: int = 5
    window_px: int = 15
    floor_px: float = 0.3
    gap_share: float = 0.7
    flow: OpticalFlowConfig = field(default_factory=OpticalFlowConfig)

    def __post_init__(self) -> None:
        require_range('levels', self.levels, 1, 10)
        require_range('window_px', self.window_px, 3, 255)
        require_range('floor_px', self.floor_px, 0.0, 1e3)
        require_range('gap_share', self.gap_share, 0.0, 1e3)


class FarnebackFlowPipeline(TwoWayFlowPipeline):
    """Images in, Flow out; keeps the previous image."""

    def __init__(self, config: FarnebackFlowConfig | None = None) -> None:
        config = config or FarnebackFlowConfig()

        def estimate(first: Array, second: Array) -> FloatArray:
            return np.asarray(cv2.calcOpticalFlowFarneback(
                first, second, None, 0.5, config.levels, config.window_px, 3, 7, 1.5, 0
            ), np.float32)

        super().__init__(estimate, config.floor_px, config.gap_share, config.flow)
