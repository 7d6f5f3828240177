# SPDX-License-Identifier: Apache-2.0
"""The state of a whole node put together for /diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy.utilities import get_rmw_implementation_identifier

from perception_nodes.ros import diagnostics, image_delivery
from perception_nodes.ros.connected import diagnostics_name
from perception_nodes.ros.diagnostics import ERROR, OK, WARN, Finding

if TYPE_CHECKING:
    from perception_nodes.ros.node import PerceptionLifecycleNode


def report(node: PerceptionLifecycleNode) -> Any:
    """Make the DiagnosticArray of a node."""
    found = [
        *_lifecycle(node), *_silence(node), *_problems(node), *_surroundings(node),
    ]
    states = {}
    if node.configured is not None:
        states = node.configured.loaded.states()
        found += [*diagnostics.engine_findings(states), *node.configured.findings()]
    hardware = ', '.join(sorted({state.serving for state in states.values()}))
    more = {
        f'problem {number}': f'{problem.count} x {problem.message}'
        for number, problem in enumerate(node.problems.all())
    }
    if node.session is not None:
        more |= node.session.connections()
    told = diagnostics.values(
        node.stage, node.statistics, node.session.dropped if node.session else 0, states, more
    )
    return diagnostics.array_message(
        diagnostics_name(node.get_fully_qualified_name()), hardware, found, told, node.factory,
        node.get_clock().now().nanoseconds,
    )


def _lifecycle(node: PerceptionLifecycleNode) -> list[Finding]:
    if node.failure:
        return [Finding(ERROR, node.failure)]
    if node.stage == 'active':
        return []
    return [Finding(OK, f'{node.stage}: it takes no images')]


def _silence(node: PerceptionLifecycleNode) -> list[Finding]:
    if node.session is None:
        return []
    reason = node.session.silent_because()
    return [Finding(ERROR, reason)] if reason else []


def _problems(node: PerceptionLifecycleNode) -> list[Finding]:
    return [Finding(ERROR, problem.message) for problem in node.problems.fresh()]


def _surroundings(node: PerceptionLifecycleNode) -> list[Finding]:
    """What is not wrong yet but will be."""
    found = []
    lost = image_delivery.complaint(get_rmw_implementation_identifier())
    if lost:
        found.append(Finding(WARN, lost))
    raw = node.session.taken_for_rectified() if node.session else ''
    if raw:
        found.append(Finding(WARN, raw))
    simulated = node.get_parameter('use_sim_time').value
    if simulated and node.get_clock().now().nanoseconds == 0:
        found.append(Finding(WARN, 'use_sim_time is true but nothing came on /clock'))
    return found
