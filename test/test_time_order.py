# SPDX-License-Identifier: Apache-2.0
"""A late stamp is not a clock that went back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import PerceptionError

MS = 1_000_000


def arrivals(order: TimeOrder, stamps_ms: list[int]) -> list[str]:
    return [order.take(stamp * MS).name for stamp in stamps_ms]


def test_two_swapped_frames_are_one_late_frame() -> None:
    order = TimeOrder()
    assert arrivals(order, [0, 100, 300, 200, 400]) == ['NEXT', 'NEXT', 'NEXT', 'LATE', 'NEXT']
    assert (order.late, order.jumps, order.newest_ns) == (1, 0, 400 * MS)
    assert order.complaints() == (
        '1 late frame was dropped (the latest by 100.0 ms): messages arrive out of order',
    )


def test_a_clock_a_millisecond_back_is_late_and_a_looped_bag_is_a_jump() -> None:
    order = TimeOrder(clock_jump_s=1.0)
    assert arrivals(order, [5000, 4999, 4000]) == ['NEXT', 'LATE', 'JUMPED']
    assert arrivals(order, [4100, 4100, 0, 100]) == ['NEXT', 'REPEATED', 'JUMPED', 'NEXT']
    assert (order.late, order.jumps) == (1, 2)
    assert 'went back 2 times (the last time by 4.1 s)' in order.complaints()[1]


def test_the_size_of_a_jump_is_a_parameter() -> None:
    assert TimeOrder(0.05).clock_jump_ns == 50 * MS
    assert arrivals(TimeOrder(0.05), [100, 60, 40]) == ['NEXT', 'LATE', 'JUMPED']
    for wrong in (0.0, -1.0, float('nan'), float('inf')):
        with pytest.raises(PerceptionError, match='clock_jump_s'):
            TimeOrder(wrong)


def test_after_forget_anything_is_next_and_the_counts_stay() -> None:
    order = TimeOrder()
    arrivals(order, [5000, 4900])
    order.forget()
    assert arrivals(order, [10]) == ['NEXT']
    assert order.late == 1 and TimeOrder().complaints() == ()


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50))
def test_what_is_kept_between_jumps_only_grows(stamps_ms: list[int]) -> None:
    order, kept = TimeOrder(), []
    for stamp in stamps_ms:
        before, arrival = order.newest_ns, order.take(stamp * MS)
        if arrival is Arrival.NEXT:
            kept.append(stamp)
        elif arrival is Arrival.JUMPED:
            assert before is not None and before - stamp * MS >= order.clock_jump_ns
            kept = [stamp]
        assert kept == sorted(set(kept)) and order.newest_ns == kept[-1] * MS
