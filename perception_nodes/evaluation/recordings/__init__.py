# SPDX-License-Identifier: Apache-2.0
"""Results that nodes or a replay left in a bag: read back, scored, shown."""

from perception_nodes.evaluation.recordings.recording_report import recording_report
from perception_nodes.evaluation.recordings.sampled_frames import (
    SampledFrames,
    images_at,
    truth_at,
)
from perception_nodes.evaluation.recordings.scores import Scores, score_outputs

__all__ = ['SampledFrames', 'Scores', 'images_at', 'recording_report', 'score_outputs', 'truth_at']
