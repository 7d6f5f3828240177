# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits on the robot: from TF, or from the parameter base_from_camera."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode

from perception_nodes.pipelines.perception import MonoFrame, Results, StereoFrame
from perception_nodes.ros.output.diagnostics import OK, WARN, Finding
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.ros.tasks.transforms import TransformLookup, tf_missing
from perception_nodes.types import PerceptionError

MOUNTS = ('auto', 'tf', 'parameter')
TF_PATIENCE_S = 2.0


@dataclass(frozen=True)
class MountConfig:
    """Where base_link <- camera comes from.

    Attributes
    ----------
    mount : tf (wait for it), parameter (base_from_camera), auto (tf; the parameter if there is
        none two seconds after the first image).
    """

    mount: str = 'auto'

    def __post_init__(self) -> None:
        if self.mount not in MOUNTS:
            raise PerceptionError(f'mount is {self.mount!r}; it is one of {", ".join(MOUNTS)}')
        if self.mount == 'tf' and tf_missing():
            raise PerceptionError(f'mount tf needs TF, but {tf_missing()}; use mount parameter')


class MountInterface:
    """Passes on to pipelines where their camera sits once TF knows it (see TaskInterface).

    Parameters
    ----------
    frames : by task, the vehicle's frame.
    """

    def __init__(
        self, node: LifecycleNode, config: MountConfig, frames: Mapping[str, str], loaded: Loaded
    ) -> None:
        self._config, self._frames, self._loaded = config, frames, loaded
        wants_lookup = config.mount != 'parameter' and not tf_missing()
        self._lookup = TransformLookup(node) if wants_lookup else None
        self._waiting = wants_lookup
        self._since_s: float | None = None
        self._finding = ''

    def before(self, frame: StereoFrame | MonoFrame) -> bool:
        """Look the camera up until it is found; frames go by until it is known."""
        if not self._waiting or self._lookup is None:
            return True
        camera = frame.image.frame_id
        found = {task: self._lookup.find(base, camera) for task, base in self._frames.items()}
        known = {task: pose for task, pose in found.items() if pose is not None}
        missing = [self._frames[task] for task in found if task not in known]
        if missing:
            return self._without_transform(missing[0], camera)
        for task, base_from_camera in known.items():
            self._loaded.perception.mount(task, base_from_camera)
        self._waiting, self._finding = False, ''
        return True

    def after(self, results: Results) -> None:
        """Take nothing."""

    def time_jumped(self, *, keep_pose: bool) -> None:
        """Keep the mount."""

    def findings(self) -> list[Finding]:
        """What is off about TF."""
        if self._finding:
            return [Finding(WARN, self._finding)]
        if tf_missing() and self._config.mount == 'auto':
            return [Finding(OK, f'base_from_camera is the parameter: {tf_missing()}')]
        return []

    def close(self) -> None:
        """End the lookup."""
        if self._lookup is not None:
            self._lookup.close()

    def _without_transform(self, base: str, camera: str) -> bool:
        now = time.monotonic()
        self._since_s = self._since_s or now
        self._finding = f'no TF from {base} to {camera}'
        if self._config.mount == 'tf':
            self._finding += ': frames go by until there is'
            return False
        if now - self._since_s < TF_PATIENCE_S:
            return False
        self._finding += ': base_from_camera is the parameter'
        self._waiting = False
        return True
