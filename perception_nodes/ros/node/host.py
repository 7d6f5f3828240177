# SPDX-License-Identifier: Apache-2.0
"""The interface of a node to its parts, so that none of them depends on the node class."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode

from perception_nodes.ros.factory import RclpyFactory
from perception_nodes.ros.input.subscriptions import FilterInput
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.ros.tasks.interface import OnWorker
from perception_nodes.ros.tasks.task_set import TaskSet

# Called with what was raised, and the task that raised it; '' = the whole frame.
Failed = Callable[[Exception, str], None]


@dataclass(frozen=True)
class Host:
    """One node as its parts see it.

    Attributes
    ----------
    node : for subscriptions, publishers, services, timers and the log.
    on_worker : does a job between two frames. failed : notes what a frame raised.
    finish : ends the process that spins the node, with an exit status.
    filter_input : puts filters of message_filters in front of an input.
    steady_clock : wall time; /clock may stand still, and that is one of the things to report.
    """

    node: LifecycleNode
    tasks: TaskSet
    problems: Problems
    on_worker: OnWorker
    failed: Failed
    finish: Callable[[int], None]
    filter_input: FilterInput
    factory: RclpyFactory = field(default_factory=RclpyFactory)
    statistics: Statistics = field(default_factory=Statistics)
    steady_clock: Clock = field(
        default_factory=lambda: Clock(clock_type=ClockType.STEADY_TIME)
    )
