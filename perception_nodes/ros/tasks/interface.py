# SPDX-License-Identifier: Apache-2.0
"""What a task adds to its node beside its topics: services, transforms, parameters."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from perception_nodes.pipelines.perception import MonoFrame, Results, StereoFrame
from perception_nodes.ros.output.diagnostics import Finding

# Does a job between two frames, when nobody else touches the pipelines: (done, message).
OnWorker = Callable[[Callable[[], str]], Awaitable[tuple[bool, str]]]


@dataclass(frozen=True)
class TaskSite:
    """Where a task's interface is put.

    Attributes
    ----------
    topic_prefix : before its services and topics. parameter_prefix : before its parameters.
    forget : drops the task's earlier results from what is published (the path).
    """

    node: LifecycleNode
    topic_prefix: str
    parameter_prefix: str
    on_worker: OnWorker
    forget: Callable[[], None]


class TaskInterface(Protocol):
    """Lives from configure to cleanup. ``before`` and ``after`` run in the worker's thread."""

    def before(self, frame: StereoFrame | MonoFrame) -> bool:
        """Look at a frame first; False lets it go by unanswered."""
        ...

    def after(self, results: Results) -> None:
        """Take the results of a frame."""
        ...

    def time_jumped(self, *, keep_pose: bool) -> None:
        """The clock went back; the pipelines are reset, too.

        Parameters
        ----------
        keep_pose : odometry goes on from where the vehicle is.
        """
        ...

    def findings(self) -> list[Finding]:
        """What diagnostics should report."""
        ...

    def close(self) -> None:
        """Destroy services and subscriptions."""
        ...


class ServiceSet:
    """Trigger services of a task; each runs its job on the worker and answers when it is done."""

    def __init__(self, site: TaskSite) -> None:
        self._node, self._prefix, self._on_worker = site.node, site.topic_prefix, site.on_worker
        # Awaiting blocks a callback group for others unless it is reentrant.
        self._group = ReentrantCallbackGroup()
        self._services: list[Any] = []

    def add(self, name: str, job: Callable[[], str]) -> None:
        """Offer a service; the job returns the response's message."""
        async def answer(request: Any, response: Any) -> Any:
            response.success, response.message = await self._on_worker(job)
            return response

        self._services.append(self._node.create_service(
            Trigger, self._prefix + name, answer, callback_group=self._group
        ))

    def close(self) -> None:
        """Destroy them."""
        for service in self._services:
            self._node.destroy_service(service)
        self._services.clear()
