# SPDX-License-Identifier: Apache-2.0
"""One file a task: how its results are scored and shown."""

from perception_nodes.evaluation.scorers.mono_depth import MonoDepthScorer
from perception_nodes.evaluation.scorers.optical_flow import OpticalFlowScorer
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.scorer import Score, Scorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer
from perception_nodes.evaluation.scorers.stereo_depth import StereoDepthScorer
from perception_nodes.evaluation.scorers.visual_odometry import VisualOdometryScorer

__all__ = ['SCORERS', 'Score', 'Scorer']

SCORERS: dict[str, type[Scorer]] = {
    'segmentation': SegmentationScorer,
    'stereo_depth': StereoDepthScorer,
    'mono_depth': MonoDepthScorer,
    'optical_flow': OpticalFlowScorer,
    'visual_odometry': VisualOdometryScorer,
    'place_recognition': PlaceRecognitionScorer,
}
