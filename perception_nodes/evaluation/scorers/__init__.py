# SPDX-License-Identifier: Apache-2.0
"""One file a task: how evaluation runs, scores and shows it."""

from collections.abc import Callable

from perception_nodes.evaluation.samples import Source
from perception_nodes.evaluation.scorers.mono_depth import MonoDepthScorer
from perception_nodes.evaluation.scorers.optical_flow import OpticalFlowScorer
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.scorer import Headline, Scorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer
from perception_nodes.evaluation.scorers.stereo_depth import StereoDepthScorer
from perception_nodes.evaluation.scorers.visual_odometry import VisualOdometryScorer

__all__ = ['SCORERS', 'Headline', 'Scorer']

SCORERS: dict[str, Callable[[Source], Scorer]] = {
    'segmentation': SegmentationScorer,
    'stereo_depth': StereoDepthScorer,
    'mono_depth': MonoDepthScorer,
    'optical_flow': OpticalFlowScorer,
    'visual_odometry': VisualOdometryScorer,
    'place_recognition': PlaceRecognitionScorer,
}
