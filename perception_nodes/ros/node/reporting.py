# SPDX-License-Identifier: Apache-2.0
"""The state of a node, assembled for /diagnostics."""

from dataclasses import dataclass
from typing import Any

from rclpy.utilities import get_rmw_implementation_identifier

from perception_nodes.ros import image_delivery
from perception_nodes.ros.input.connections import diagnostics_name
from perception_nodes.ros.node.active_state import ActiveState
from perception_nodes.ros.node.configured_state import ConfiguredState
from perception_nodes.ros.node.health import health_findings
from perception_nodes.ros.node.host import Host
from perception_nodes.ros.output import diagnostics
from perception_nodes.ros.output.diagnostics import ERROR, OK, WARN, Finding


@dataclass(frozen=True)
class NodeState:
    """Where a node is in its lifecycle.

    Attributes
    ----------
    stage : unconfigured, inactive, active or finalized. failure : of the latest transition.
    """

    stage: str
    failure: str
    configured: ConfiguredState | None
    active: ActiveState | None


def report(host: Host, state: NodeState) -> Any:
    """Make the DiagnosticArray of a node."""
    found = [
        *_lifecycle(state), *_silence(state), *_problems(host), *_surroundings(host, state),
        *(health_findings(state.active, host.statistics) if state.active else ()),
    ]
    runners = {}
    if state.configured is not None:
        runners = state.configured.loaded.states()
        found += [*diagnostics.engine_findings(runners), *state.configured.findings()]
    hardware = ', '.join(sorted({runner.serving for runner in runners.values()}))
    more = {
        f'problem {number}': f'{problem.count} x {problem.message}'
        for number, problem in enumerate(host.problems.all())
    }
    if state.configured is not None:
        more |= state.configured.loaded.figures()
    if state.active is not None:
        more |= state.active.connections()
    values = diagnostics.values(state.stage, host.statistics, runners, more)
    return diagnostics.array_message(
        diagnostics_name(host.node.get_fully_qualified_name()), hardware, found, values,
        host.factory, host.node.get_clock().now().nanoseconds,
    )


def _lifecycle(state: NodeState) -> list[Finding]:
    if state.failure:
        return [Finding(ERROR, state.failure)]
    if state.stage == 'active':
        return []
    return [Finding(OK, f'{state.stage}: it takes no images')]


def _silence(state: NodeState) -> list[Finding]:
    reason = state.active.silent_because() if state.active else ''
    return [Finding(ERROR, reason)] if reason else []


def _problems(host: Host) -> list[Finding]:
    return [Finding(ERROR, problem.message) for problem in host.problems.fresh()]


def _surroundings(host: Host, state: NodeState) -> list[Finding]:
    """What is not wrong yet but will be."""
    found = []
    lost = image_delivery.complaint(get_rmw_implementation_identifier())
    if lost:
        found.append(Finding(WARN, lost))
    raw = state.active.taken_for_rectified() if state.active else ''
    if raw:
        found.append(Finding(WARN, raw))
    simulated = host.node.get_parameter('use_sim_time').value
    if simulated and host.node.get_clock().now().nanoseconds == 0:
        found.append(Finding(WARN, 'use_sim_time is true but nothing came on /clock'))
    return found
