# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""One file a task: how its results are scored and shown. A task without one is not evaluated.

Add a scorer by importing it here.
"""

from perception_nodes.evaluation.scorers.mono_depth import MonoDepthScorer
from perception_nodes.evaluation.scorers.optical_flow import OpticalFlowScorer
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.scorer import Score, Scorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer
from perception_nodes.evaluation.scorers.stereo_depth import StereoDepthScorer
from perception_nodes.evaluation.scorers.visual_odometry import VisualOdometryScorer
from perception_nodes.pipelines.tasks import TASKS

__all__ = ['SCORERS', 'Score', 'Scorer']

# Those imported above, in the order of TASKS.
SCORERS: dict[str, type[Scorer]] = {
    task: scorer for task in TASKS for scorer in Scorer.__subclasses__() if scorer.task == task
}
