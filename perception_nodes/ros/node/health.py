# SPDX-License-Identifier: Apache-2.0
"""Faults in which frames arrive but no results are published: /diagnostics must not report OK.

Why no frame comes at all is ``input.preflight``'s; what single frames raised is ``problems``'s.
"""

from perception_nodes.ros.node.active_state import ActiveState
from perception_nodes.ros.output.diagnostics import ERROR, WARN, Finding
from perception_nodes.ros.statistics import Statistics

# How long a disorder is reported after it was seen.
FRESH_S = 10.0
# Of the frames that come, and how many there must be before their share means something.
DROPPED_WARN, DROPPED_ERROR, MIN_FRAMES = 0.5, 0.95, 10
# A frame takes a second or two on a slow CPU.
BUSY_WARN_S, BUSY_ERROR_S = 5.0, 15.0
OUTPUT_WARN_S, OUTPUT_ERROR_S = 5.0, 15.0
ARRIVING_S = 3.0
MANY_REPEATED = 3


def health_findings(active: ActiveState, statistics: Statistics) -> list[Finding]:
    """Return what is wrong with a node that gets its frames."""
    found = [
        _busy(active), _no_output(active, statistics), _dropped(statistics), _stamps(active),
        _late(active, statistics), _time_jump(active, statistics),
    ]
    return [finding for finding in found if finding is not None]


def _busy(active: ActiveState) -> Finding | None:
    seconds = active.worker.busy_s
    if seconds < BUSY_WARN_S or active.builds_only:
        return None
    return Finding(
        ERROR if seconds >= BUSY_ERROR_S else WARN,
        f'the worker has been busy with one frame for {seconds:.0f} s: it hangs, or this machine '
        'is far too slow',
    )


def _no_output(active: ActiveState, statistics: Statistics) -> Finding | None:
    """Frames come, somebody listens, and nothing is published."""
    if active.builds_only or statistics.seconds_since('in') > ARRIVING_S:
        return None
    age_s = min(statistics.seconds_since(event) for event in ('out', 'nobody listens'))
    age_s = min(age_s, active.age_s)
    if age_s < OUTPUT_WARN_S:
        return None
    return Finding(
        ERROR if age_s >= OUTPUT_ERROR_S else WARN,
        f'frames come but nothing was published for {age_s:.0f} s',
    )


def _dropped(statistics: Statistics) -> Finding | None:
    frames, dropped = statistics.recent('in'), statistics.recent('dropped')
    if frames < MIN_FRAMES or dropped < DROPPED_WARN * frames:
        return None
    share = dropped / frames
    return Finding(
        ERROR if share >= DROPPED_ERROR else WARN,
        f'{share:.0%} of the frames are dropped: {statistics.rate_hz("in"):.1f} Hz come, '
        f'{statistics.rate_hz("out"):.1f} Hz are answered',
    )


def _stamps(active: ActiveState) -> Finding | None:
    repeated, stamp_ns = active.assembler.repeated, active.assembler.order.newest_ns
    if repeated < MANY_REPEATED or stamp_ns is None:
        return None
    return Finding(
        ERROR,
        f'stamps do not advance: the last {repeated + 1} images all have stamp '
        f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}'
        + (' (the publisher leaves header.stamp empty)' if stamp_ns == 0 else ''),
    )


def _late(active: ActiveState, statistics: Statistics) -> Finding | None:
    if statistics.seconds_since('late') > FRESH_S:
        return None
    order = active.assembler.order
    return Finding(
        WARN,
        f'images arrive out of order: {order.late} late {_frames(order.late)} dropped '
        f'(the latest by {order.latest_ns / 1e6:.1f} ms)',
    )


def _time_jump(active: ActiveState, statistics: Statistics) -> Finding | None:
    if statistics.seconds_since('time jump') > FRESH_S:
        return None
    return Finding(WARN, 'stamps went back for good: what was remembered was dropped')


def _frames(number: int) -> str:
    return 'frame was' if number == 1 else 'frames were'
