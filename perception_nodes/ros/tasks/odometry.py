# SPDX-License-Identifier: Apache-2.0
"""Visual odometry's services, its set_pose topic, and its transforms."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped

from perception_nodes.messages.primitives import transform_of_pose
from perception_nodes.pipelines.perception import MonoFrame, Results, StereoFrame
from perception_nodes.ros.output.diagnostics import ERROR, WARN, Finding
from perception_nodes.ros.tasks.interface import ServiceSet, TaskSite
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.ros.tasks.transforms import TransformBroadcaster, tf_missing
from perception_nodes.text import one_line

# A tunnel's mouth, a hand before the lens; longer than that nobody should drive on.
LOST_ERROR_S = 3.0
LOG_PERIOD_S = 5.0


@dataclass(frozen=True)
class OdometryNodeConfig:
    """How visual odometry is tied to the robot.

    Attributes
    ----------
    publish_tf : broadcast odom -> base_link; exactly one node of a robot does (REP 105).
    """

    publish_tf: bool = False


class OdometryInterface:
    """See interface.TaskInterface."""

    def __init__(
        self, site: TaskSite, config: OdometryNodeConfig, loaded: Loaded
    ) -> None:
        self._node, self._on_worker = site.node, site.on_worker
        self._config, self._loaded = config, loaded
        self._forget_path = site.forget
        self._lost: tuple[float, str] | None = None  # since when, monotonic, and why
        self._has_tracked = False
        self._services = ServiceSet(site)
        self._services.add('reset', self._reset)
        self._set_pose = site.node.create_subscription(
            PoseWithCovarianceStamped, f'{site.topic_prefix}set_pose', self._take_pose, 1
        )
        sends = config.publish_tf and not tf_missing()
        self._broadcaster = TransformBroadcaster(site.node) if sends else None

    def before(self, frame: StereoFrame | MonoFrame) -> bool:
        """Every frame is good."""
        return True

    def after(self, results: Results) -> None:
        """Broadcast the pose while it is tracked; remember since when it is lost."""
        odometry = results.get('visual_odometry')
        if odometry is None:
            return
        if not odometry.tracking:
            since_s = self._lost[0] if self._lost else time.monotonic()
            self._lost = (since_s, odometry.reason)
            return
        self._lost, self._has_tracked = None, True
        if self._broadcaster is not None:
            self._broadcaster.send(odometry)

    def time_jumped(self, *, keep_pose: bool) -> None:
        """Start the path anew where the pose does."""
        if not keep_pose:
            self._forget_path()

    def findings(self) -> list[Finding]:
        """What is off: TF, and whether the vehicle is lost."""
        found = []
        if tf_missing() and self._config.publish_tf:
            found.append(Finding(WARN, f'publish_tf is off: {tf_missing()}'))
        lost = self._lost
        if lost is not None:
            lost_s = time.monotonic() - lost[0]
            bad = lost_s >= LOST_ERROR_S or not self._has_tracked
            since = f'for {lost_s:.1f} s' if self._has_tracked else 'since the first frame'
            found.append(Finding(
                ERROR if bad else WARN, f'visual_odometry is lost {since}: {lost[1]}'
            ))
        return found

    def close(self) -> None:
        """Destroy services and subscriptions."""
        self._services.close()
        self._node.destroy_subscription(self._set_pose)
        if self._broadcaster is not None:
            self._broadcaster.close()

    @property
    def _pipeline(self) -> Any:
        return self._loaded.perception.pipelines['visual_odometry']

    def _reset(self) -> str:
        self._pipeline.reset()
        self._forget_path()
        self._lost, self._has_tracked = None, False
        return 'the next image is the origin of odom'

    def _take_pose(self, message: PoseWithCovarianceStamped) -> None:
        """Move odometry to a pose between two frames."""
        frame, wanted = message.header.frame_id, self._pipeline.config.odom_frame
        if frame and frame != wanted:
            self._node.get_logger().error(
                one_line(f'set_pose is in {wanted!r} only, not in {frame!r}'),
                throttle_duration_sec=LOG_PERIOD_S,
            )
            return
        covariance = np.array(message.pose.covariance, np.float64).reshape(6, 6)

        def move() -> str:
            self._pipeline.set_pose(transform_of_pose(message.pose.pose), covariance)
            return 'moved'

        if self._node.executor is not None:  # it called this
            self._node.executor.create_task(self._finish_move, move)

    async def _finish_move(self, move: Any) -> None:
        done, why = await self._on_worker(move)
        if not done:
            self._node.get_logger().error(
                one_line(f'set_pose: {why}'), throttle_duration_sec=LOG_PERIOD_S
            )
