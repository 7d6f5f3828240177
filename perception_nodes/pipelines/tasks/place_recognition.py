# SPDX-License-Identifier: Apache-2.0
"""The task of recognising places of a map."""

from typing import Any

from perception_nodes.pipelines.tasks.stereo_depth import DEPTH
from perception_nodes.pipelines.tasks.task import AuxiliaryInput, Implementation, Task
from perception_nodes.types import FloatArray, Odometry


def _load() -> Implementation:
    from perception_nodes.messages import places as messages
    from perception_nodes.pipelines.place_recognition import PlaceRecognitionConfig

    return Implementation(
        PlaceRecognitionConfig, _build, messages.TOPICS, messages.place_messages
    )


def _build(open_model: Any, model: Any, config: Any) -> Any:
    """Build with the features model beside its own, for the geometric check."""
    from perception_nodes.pipelines.place_recognition import PlaceRecognitionPipeline

    return PlaceRecognitionPipeline(open_model(model), config, open_model('features'))


def _tracked_pose(odometry: Odometry) -> FloatArray | None:
    """Pose of the vehicle in odom, [4, 4]; None while it is lost."""
    return odometry.odom_from_base if odometry.tracking else None


TASK = Task(
    'place_recognition', 'places of the map that the image may show', _load, 'place_recognition',
    needs_camera=True, stateful=True,
    takes=(
        DEPTH,
        AuxiliaryInput(
            'visual_odometry', 'odom_from_base', ('odometry',), by_time=True,
            value=_tracked_pose,
        ),
    ),
)
