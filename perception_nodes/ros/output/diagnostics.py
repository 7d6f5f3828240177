# SPDX-License-Identifier: Apache-2.0
"""The report of a node on /diagnostics, once a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perception_nodes.inference.runner import RunnerState
from perception_nodes.messages.factory import MessageFactory
from perception_nodes.ros.statistics import Statistics
from perception_nodes.text import one_line

OK, WARN, ERROR = 0, 1, 2
MAX_FINDINGS = 8


@dataclass(frozen=True)
class Finding:
    """One message and its level (OK, WARN, ERROR)."""

    level: int
    message: str


def engine_findings(states: Mapping[str, RunnerState]) -> list[Finding]:
    """Return which models do not run as wished, and which engines are being built."""
    found = []
    for model, state in states.items():
        if not state.healthy:
            found.append(Finding(
                ERROR, f'{model}: {state.serving} serves, no engine: {state.detail}'
            ))
        elif state.engine == 'building':
            found.append(Finding(
                OK, f'{model}: {state.serving} serves while an engine is built: {state.detail}'
            ))
    return found


def values(
    lifecycle: str, statistics: Statistics, states: Mapping[str, RunnerState],
    more: Mapping[str, str],
) -> dict[str, str]:
    """Everything measurable, as text with its unit in the key."""
    entries = {
        'lifecycle': lifecycle,
        'rate_in_hz': f'{statistics.rate_hz("in"):.2f}',
        'rate_out_hz': f'{statistics.rate_hz("out"):.2f}',
        'latency_p50_ms': f'{statistics.percentile_ms(50):.1f}',
        'latency_p99_ms': f'{statistics.percentile_ms(99):.1f}',
        'frames_in': str(statistics.counted('in')),
        'frames_out': str(statistics.counted('out')),
        'last_output_s': f'{statistics.seconds_since("out"):.1f}',
        'dropped': str(statistics.counted('dropped')),
        'late': str(statistics.counted('late')),
        'repeated_stamps': str(statistics.counted('repeated stamp')),
        'bad_messages': str(statistics.counted('bad')),
        'time_jumps': str(statistics.counted('time jump')),
    }
    for model, state in states.items():
        entries[f'{model}.backend'] = state.serving
        entries[f'{model}.engine'] = state.engine
        if state.detail:
            entries[f'{model}.engine_detail'] = state.detail
        if state.engine_key:
            entries[f'{model}.engine_key'] = state.engine_key
    return {**entries, **more}


def array_message(
    name: str, hardware: str, findings: Sequence[Finding], entries: Mapping[str, str],
    factory: MessageFactory, stamp_ns: int,
) -> Any:
    """Make the DiagnosticArray; its level is the worst finding's, its message lists them."""
    worst = max((finding.level for finding in findings), default=OK)
    listed = [
        one_line(finding.message) for finding in sorted(findings, key=lambda one: -one.level)
    ]
    more = [f'{len(listed) - MAX_FINDINGS} more'] if len(listed) > MAX_FINDINGS else []
    message = '; '.join([*listed[:MAX_FINDINGS], *more]) or 'running'
    status = factory.make(
        'diagnostic_msgs/msg/DiagnosticStatus', level=factory.octet(worst), name=name,
        message=message, hardware_id=hardware,
        values=[
            factory.make('diagnostic_msgs/msg/KeyValue', key=key, value=one_line(value))
            for key, value in entries.items()
        ],
    )
    return factory.make(
        'diagnostic_msgs/msg/DiagnosticArray',
        header=factory.make(
            'std_msgs/msg/Header', stamp=factory.time(stamp_ns), frame_id=''
        ),
        status=[status],
    )
