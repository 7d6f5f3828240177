# SPDX-License-Identifier: Apache-2.0
"""Place recognition without ROS: global descriptor, neighbours in the map, geometry."""

from perception_nodes.pipelines.place_recognition.config import PlaceRecognitionConfig
from perception_nodes.pipelines.place_recognition.pipeline import PlaceRecognitionPipeline

__all__ = ['PlaceRecognitionConfig', 'PlaceRecognitionPipeline']
