# SPDX-License-Identifier: Apache-2.0
"""The task of following the vehicle's motion with a stereo pair."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perception_nodes.pipelines.tasks.stereo_depth import DEPTH
from perception_nodes.pipelines.tasks.task import AuxiliaryInput, Implementation, Task
from perception_nodes.types import PerceptionError


def _load() -> Implementation:
    from perception_nodes.messages import odometry as messages
    from perception_nodes.messages.trajectory import Trajectory
    from perception_nodes.pipelines.visual_odometry import VisualOdometryConfig

    return Implementation(
        VisualOdometryConfig, _build, messages.TOPICS, messages.odometry_messages,
        decode=messages.odometry_from_messages, required=('odometry',),
        between=messages.odometry_between,
        history=lambda config, factory: Trajectory(factory, config.path_length),
    )


def _build(open_model: Callable[[str | Path], Any], model: str | Path, config: Any) -> Any:
    """Build with a model only where a learned front end is configured."""
    from perception_nodes.pipelines.pipeline import NO_MODEL
    from perception_nodes.pipelines.visual_odometry import VisualOdometryPipeline

    learned = config.front_end == 'learned' and model != NO_MODEL
    if not learned and model not in (TASK.model, NO_MODEL):
        raise PerceptionError(
            f'visual_odometry uses no model, and not {model}: set front_end to learned'
        )
    return VisualOdometryPipeline(open_model(model) if learned else None, config)


TASK = Task(
    'visual_odometry', 'motion of the vehicle from a stereo pair, with its covariance', _load,
    'features', cameras=2, stateful=True,
    takes=(DEPTH, AuxiliaryInput('segmentation', 'segmentation', ('mask',))),
)
