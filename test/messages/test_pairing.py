# SPDX-License-Identifier: Apache-2.0
"""Stamps that belong together are found, whatever else arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_nodes.messages.pairing import StampPairer
from perception_nodes.types import PerceptionError


def test_equal_stamps_pair_in_either_order() -> None:
    pairer: StampPairer[str] = StampPairer()
    assert pairer.left(10, 'l10') is None
    assert pairer.right(10, 'r10') == ('l10', 'r10')
    assert pairer.right(20, 'r20') is None
    assert pairer.left(20, 'l20') == ('l20', 'r20')
    assert (pairer.paired, pairer.unpaired) == (2, [0, 0])


def test_tolerance_takes_the_nearest() -> None:
    pairer: StampPairer[str] = StampPairer(tolerance_ns=5)
    pairer.right(100, 'r100')
    pairer.right(108, 'r108')
    assert pairer.left(105, 'l105') == ('l105', 'r108')
    # r100 is older than a pair: it is given up.
    assert pairer.unpaired == [0, 1]


def test_beyond_the_tolerance_nothing_pairs_and_the_gap_is_told() -> None:
    pairer: StampPairer[str] = StampPairer(tolerance_ns=5)
    pairer.left(100, 'l')
    assert pairer.right(106, 'r') is None
    assert pairer.right(120, 'r') is None
    assert (pairer.paired, pairer.nearest_gap_ns) == (0, 6)


def test_a_full_side_gives_up_its_oldest() -> None:
    pairer: StampPairer[int] = StampPairer(capacity=2)
    for stamp in (1, 2, 3):
        pairer.left(stamp, stamp)
    assert pairer.unpaired == [1, 0]
    assert pairer.right(1, 1) is None
    assert pairer.right(3, 3) == (3, 3)
    assert pairer.unpaired == [2, 1]


def test_a_clock_that_goes_back_starts_anew() -> None:
    pairer: StampPairer[str] = StampPairer()
    old = 5_000_000_000
    pairer.left(old, 'old')
    assert pairer.left(10, 'l10') is None
    assert pairer.unpaired == [1, 0]
    assert pairer.right(10, 'r10') == ('l10', 'r10')
    # The right of the past, when it comes, takes nothing new with it.
    assert pairer.right(old, 'late') is None
    assert pairer.left(20, 'l20') is None
    assert pairer.right(20, 'r20') == ('l20', 'r20')


def test_swapped_neighbours_all_pair() -> None:
    """One side in the wrong order loses nothing; what was given up for a pair stays so."""
    pairer: StampPairer[str] = StampPairer()
    assert pairer.left(90, 'l90') is None
    assert pairer.left(80, 'l80') is None
    assert pairer.right(80, 'r80') == ('l80', 'r80')
    assert pairer.right(90, 'r90') == ('l90', 'r90')
    assert pairer.unpaired == [0, 0]
    # Both sides swapped: the late pair is found too, and comes late.
    assert pairer.left(110, 'l110') is None
    assert pairer.right(110, 'r110') == ('l110', 'r110')
    assert pairer.left(100, 'l100') is None
    assert pairer.right(100, 'r100') == ('l100', 'r100')
    assert (pairer.paired, pairer.unpaired) == (4, [0, 0])


def test_the_size_of_a_jump_is_a_parameter() -> None:
    pairer: StampPairer[str] = StampPairer(clock_jump_s=1e-8)
    pairer.left(90, 'l90')
    pairer.left(80, 'l80')  # ten nanoseconds back: another time
    assert pairer.unpaired == [1, 0]


@given(
    st.lists(st.integers(1, 60), unique=True).map(sorted),
    st.lists(st.integers(1, 60), unique=True).map(sorted),
    st.randoms(use_true_random=False),
)
def test_exact_pairs_are_all_found(left: list[int], right: list[int], random: object) -> None:
    """Two ordered streams, interleaved at random: every stamp that both have pairs once."""
    pairer: StampPairer[int] = StampPairer(capacity=100)
    queues, found = [list(left), list(right)], []
    while queues[0] or queues[1]:
        side = random.randrange(2) if queues[0] and queues[1] else int(not queues[0])
        stamp = queues[side].pop(0)
        pair = (pairer.left if side == 0 else pairer.right)(stamp, stamp)
        if pair:
            found.append(pair)
    both = sorted(set(left) & set(right))
    assert found == [(stamp, stamp) for stamp in both]
    pairer.clear()
    assert pairer.unpaired == [len(left) - len(both), len(right) - len(both)]


@pytest.mark.parametrize(('tolerance', 'capacity'), [(-1, 1), (0, 0)])
def test_settings_are_checked(tolerance: int, capacity: int) -> None:
    with pytest.raises(PerceptionError, match='must be >= 0'):
        StampPairer(tolerance, capacity)
