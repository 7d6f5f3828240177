# SPDX-License-Identifier: Apache-2.0
"""The poses so far, kept as messages so that a growing path is not encoded anew each time."""

from collections import deque
from typing import Any

from perception_nodes.messages.factory import MessageFactory
from perception_nodes.messages.primitives import header, pose
from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import Odometry


class Trajectory:
    """The newest poses of visual odometry.

    Parameters
    ----------
    factory : makes the messages.
    capacity : poses kept; the oldest go first.
    """

    def __init__(self, factory: MessageFactory, capacity: int = 10_000) -> None:
        self._factory = factory
        self._poses: deque[Any] = deque(maxlen=capacity)
        self._order = TimeOrder()

    def __len__(self) -> int:
        return len(self._poses)

    def append(self, odometry: Odometry) -> None:
        """Add one pose; a lost one is left out. A clock that went back starts anew."""
        if self._order.take(odometry.stamp_ns) is Arrival.JUMPED:
            self.clear()
        if odometry.tracking:
            self._poses.append(self._factory.make(
                'geometry_msgs/msg/PoseStamped',
                header=header(self._factory, odometry.stamp_ns, odometry.frame_id),
                pose=pose(self._factory, odometry.odom_from_base),
            ))

    def clear(self) -> None:
        """Forget all poses."""
        self._poses.clear()

    def message(self, stamp_ns: int, frame_id: str) -> Any:
        """Make a nav_msgs/Path of the poses."""
        return self._factory.make(
            'nav_msgs/msg/Path', header=header(self._factory, stamp_ns, frame_id),
            poses=list(self._poses),
        )
