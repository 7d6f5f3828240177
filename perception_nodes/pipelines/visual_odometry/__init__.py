# SPDX-License-Identifier: Apache-2.0
"""Stereo visual odometry without ROS: features, robust motion, a window of keyframes."""

from perception_nodes.pipelines.visual_odometry.config import VisualOdometryConfig
from perception_nodes.pipelines.visual_odometry.pipeline import VisualOdometryPipeline

__all__ = ['VisualOdometryConfig', 'VisualOdometryPipeline']
