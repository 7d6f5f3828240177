# SPDX-License-Identifier: Apache-2.0
"""Dense inverse search (Kroeger et al. 2016), OpenCV's DISOpticalFlow."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from perception_nodes.evaluation.baselines.two_way_flow import TwoWayFlowPipeline
from perception_nodes.pipelines.images import require_range
from perception_nodes.pipelines.optical_flow import OpticalFlowConfig
from perception_nodes.types import Array, FloatArray, PerceptionError

PRESETS = {
    'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
    'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@dataclass(frozen=True)
class DisFlowConfig:
    """How to search.

    Attributes
    ----------
    preset : ultrafast, fast or medium.
    floor_px, gap_share : sigma is ``hypot(floor_px, gap_share * gap there and back)``.
    flow : what counts as motion.
    """

    preset: str = 'medium'
    floor_px: float = 0.15
    gap_share: float = 0.7
    flow: OpticalFlowConfig = field(default_factory=OpticalFlowConfig)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise PerceptionError(f'preset is {self.preset!r}, not one of {", ".join(PRESETS)}')
        require_range('floor_px', self.floor_px, 0.0, 1e3)
        require_range('gap_share', self.gap_share, 0.0, 1e3)


class DisFlowPipeline(TwoWayFlowPipeline):
    """Images in, Flow out; keeps the previous image."""

    def __init__(self, config: DisFlowConfig | None = None) -> None:
        config = config or DisFlowConfig()
        dis = cv2.DISOpticalFlow_create(PRESETS[config.preset])

        def estimate(first: Array, second: Array) -> FloatArray:
            return np.asarray(dis.calc(first, second, None), np.float32)

        super().__init__(estimate, config.floor_px, config.gap_share, config.flow)
