# SPDX-License-Identifier: Apache-2.0
"""Visual odometry's services, its set_pose topic, and its transforms."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode

from perception_nodes.messages.primitives import transform_of_pose
from perception_nodes.messages.trajectory import Trajectory
from perception_nodes.pipelines.perception import MonoFrame, Results, StereoFrame
from perception_nodes.ros.diagnostics import OK, WARN, Finding
from perception_nodes.ros.factory import RclpyFactory
from perception_nodes.ros.loading import Loaded
from perception_nodes.ros.task_interface import OnWorker, ServiceSet
from perception_nodes.ros.transforms import TransformBroadcaster, TransformLookup, tf_missing
from perception_nodes.types import FloatArray, PerceptionError

MOUNTS = ('auto', 'tf', 'parameter')
TF_PATIENCE_S = 2.0


@dataclass(frozen=True)
class OdometryNodeConfig:
    """How visual odometry is tied to the robot.

    Attributes
    ----------
    publish_tf : broadcast odom -> base_link; exactly one node of a robot does (REP 105).
    mount : where base_link <- camera comes from: tf (wait for it), parameter
        (base_from_camera), auto (tf; the parameter if there is none after two seconds).
    path_length : poses kept for the path.
    """

    publish_tf: bool = False
    mount: str = 'auto'
    path_length: int = 10_000

    def __post_init__(self) -> None:
        if self.mount not in MOUNTS:
            raise PerceptionError(f'mount is {self.mount!r}; it is one of {", ".join(MOUNTS)}')
        if self.mount == 'tf' and tf_missing():
            raise PerceptionError(f'mount tf needs TF, but {tf_missing()}; use mount parameter')
        if self.path_length < 1:
            raise PerceptionError(f'path_length is {self.path_length}; it must be positive')


class OdometryInterface:
    """See task_interface.TaskInterface.

    Attributes
    ----------
    trajectory : what ``~/path`` shows.
    """

    def __init__(
        self, node: LifecycleNode, prefix: str, config: OdometryNodeConfig, loaded: Loaded,
        on_worker: OnWorker,
    ) -> None:
        self._node, self._config, self._loaded = node, config, loaded
        self._on_worker = on_worker
        self.trajectory = Trajectory(RclpyFactory(), config.path_length)
        self._services = ServiceSet(node, prefix, on_worker)
        self._services.add('reset', self._reset)
        self._set_pose = node.create_subscription(
            PoseWithCovarianceStamped, f'{prefix}set_pose', self._take_pose, 1
        )
        wants_lookup = config.mount != 'parameter' and not tf_missing()
        self._lookup = TransformLookup(node) if wants_lookup else None
        sends = config.publish_tf and not tf_missing()
        self._broadcaster = TransformBroadcaster(node) if sends else None
        self._mounted: str | None = None if wants_lookup else ''
        self._since_s: float | None = None
        self._finding = ''

    def before(self, frame: StereoFrame | MonoFrame) -> bool:
        """Find where the camera sits, once; frames go by until it is known."""
        if self._mounted is not None or self._lookup is None or isinstance(frame, MonoFrame):
            return True
        base = self._pipeline.config.base_frame
        camera = frame.left.frame_id
        base_from_camera = self._lookup.find(base, camera)
        if base_from_camera is None:
            return self._without_transform(base, camera)
        self._mount(base_from_camera)
        self._mounted, self._finding = camera, ''
        return True

    def after(self, results: Results) -> None:
        """Broadcast the pose while it is tracked."""
        odometry = results.visual_odometry
        if self._broadcaster is not None and odometry is not None and odometry.tracking:
            self._broadcaster.send(odometry)

    def went_back(self) -> None:
        """Start the path anew."""
        self.trajectory.clear()

    def findings(self) -> list[Finding]:
        """What is off about TF."""
        found = [Finding(WARN, self._finding)] if self._finding else []
        if tf_missing() and self._config.publish_tf:
            found.append(Finding(WARN, f'publish_tf is off: {tf_missing()}'))
        elif tf_missing() and self._config.mount == 'auto':
            found.append(Finding(
                OK, f'base_from_camera is the parameter: {tf_missing()}'
            ))
        return found

    def close(self) -> None:
        """Destroy services and subscriptions."""
        self._services.close()
        self._node.destroy_subscription(self._set_pose)
        for part in (self._lookup, self._broadcaster):
            if part is not None:
                part.close()

    @property
    def _pipeline(self) -> Any:
        return self._loaded.perception.visual_odometry

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
        self._mounted = ''
        return True

    def _mount(self, base_from_camera: FloatArray) -> None:
        """Make the pipeline anew for a camera that sits there."""
        old = self._pipeline
        rows = tuple(tuple(float(entry) for entry in row) for row in base_from_camera)
        runner = self._loaded.runners.get('visual_odometry')
        pipeline = type(old)(runner, replace(old.config, base_from_camera=rows))
        self._loaded.perception = replace(self._loaded.perception, visual_odometry=pipeline)

    def _reset(self) -> str:
        self._pipeline.reset()
        self.trajectory.clear()
        return 'the next image is the origin of odom'

    def _take_pose(self, message: PoseWithCovarianceStamped) -> None:
        """Move odometry to a pose between two frames."""
        frame, wanted = message.header.frame_id, self._pipeline.config.odom_frame
        if frame and frame != wanted:
            self._node.get_logger().error(f'set_pose is in {frame!r}, odometry in {wanted!r}')
            return
        covariance = np.array(message.pose.covariance, np.float64).reshape(6, 6)

        def move() -> str:
            self._pipeline.set_pose(transform_of_pose(message.pose.pose), covariance)
            return 'moved'

        task = self._node.executor.create_task(self._finish_move, move)
        del task

    async def _finish_move(self, move: Any) -> None:
        done, why = await self._on_worker(move)
        if not done:
            self._node.get_logger().error(f'set_pose: {why}')
