# SPDX-License-Identifier: Apache-2.0
"""What the pipeline of every task looks like from outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from perception_nodes.inference.runner import Runner
from perception_nodes.types import FloatArray

__all__ = ['NO_MODEL', 'MountedPipeline', 'OpenModel', 'Pipeline']

# Loads a model, by released name or path.
OpenModel = Callable[[str | Path], Runner]
# Name of no model, where a task can do without.
NO_MODEL = 'none'


class Pipeline(Protocol):
    """A task without ROS: images and other tasks' results in, its result out.

    The positional arguments follow from the task's record (``tasks.Task.inputs``), the keyword
    arguments are the ``argument`` of each of its ``takes``; all of those are optional.
    """

    @property
    def config(self) -> Any:
        """The task's frozen config."""
        ...

    @property
    def runners(self) -> tuple[Runner, ...]:
        """The models that it runs, its own first; empty if it needs none."""
        ...

    def reset(self) -> None:
        """Forget the past: the next image is the first."""
        ...

    def __call__(self, *inputs: Any, **auxiliary: Any) -> Any:
        """Process a frame; None if it has no result.

        A result has ``stamp_ns``, that of its image.

        Raises
        ------
        PerceptionError
            If the images are not what the task takes.
        """
        ...


class MountedPipeline(Pipeline, Protocol):
    """A pipeline that uses the camera's mount: its config has ``base_from_camera``."""

    def reset(self, *, keep_pose: bool = False) -> None:
        """Forget the past; with keep_pose continue from the last pose."""
        ...

    def mount(self, base_from_camera: FloatArray) -> None:
        """Set where the camera sits on the vehicle, [4, 4]."""
        ...
