# SPDX-License-Identifier: Apache-2.0
"""A bag through the pipelines into a folder of results, scores and a report."""

from perception_nodes.evaluation.replay.run import (
    ReplayResult,
    ReplaySettings,
    replay_to_folder,
)

__all__ = ['ReplayResult', 'ReplaySettings', 'replay_to_folder']
