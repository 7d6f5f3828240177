# SPDX-License-Identifier: Apache-2.0
"""Mailbox of one and the thread behind it."""

import threading

from perception_nodes.ros.node.mailbox import Mailbox
from perception_nodes.ros.node.worker import Worker
from perception_nodes.ros.statistics import Statistics


def test_newest_item_wins_and_drops_are_counted():
    """Three frames while nobody takes: the last stays, two are counted."""
    mailbox = Mailbox()
    assert [mailbox.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == 3
    assert not mailbox.put(4)
    assert mailbox.take() == 4


def test_jobs_come_first_and_none_is_lost():
    """A reset that was asked before the next frame happens before it."""
    mailbox = Mailbox()
    mailbox.put('frame')
    first, second = (lambda: None), (lambda: None)
    assert mailbox.put_job(first) and mailbox.put_job(second)
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [first, second, 'frame']


def test_closed_mailbox_takes_nothing_but_finishes_jobs():
    """A job that was promised is done; a frame is not."""
    mailbox = Mailbox()
    job = lambda: None  # noqa: E731
    mailbox.put_job(job)
    mailbox.put('frame')
    mailbox.close()
    mailbox.put('late')
    assert not mailbox.put_job(job)
    assert mailbox.take() is job
    assert mailbox.take() is None


def test_worker_goes_on_after_an_exception_and_takes_the_newest():
    """While it is busy frames replace each other; a failing one does not end it."""
    seen, failures, busy, go = [], [], threading.Event(), threading.Event()

    def work(item):
        busy.set()
        go.wait(10)
        seen.append(item)
        if item == 'bad':
            raise ValueError(item)

    worker = Worker(work, failures.append, 'test worker')
    worker.start()
    worker.mailbox.put('bad')
    assert busy.wait(10)
    assert [worker.mailbox.put(item) for item in range(5)] == [False, *[True] * 4]
    assert worker.busy_s > 0.0
    done = threading.Event()
    go.set()
    worker.mailbox.put_job(done.set)
    assert done.wait(10)
    while len(seen) < 2:
        pass
    assert worker.stop(10.0) and worker.busy_s == 0.0
    assert seen == ['bad', 4]
    assert [str(failure) for failure in failures] == ['bad']
    assert not [t for t in threading.enumerate() if t.name == 'test worker']


def test_worker_that_hangs_is_left_behind():
    """Stopping it is bounded, and says so."""
    go, gone = threading.Event(), threading.Event()

    def work(item):
        go.wait(30)
        gone.set()

    worker = Worker(work, lambda error: None, 'hanging worker')
    worker.start()
    worker.mailbox.put('frame')
    while not worker.busy_s:
        pass
    assert not worker.stop(patience_s=0.05)
    go.set()
    assert gone.wait(10) and worker.stop(10.0)


def test_statistics_count_and_rank():
    """Counts, percentiles by definition, a rate that fades."""
    statistics = Statistics()
    assert statistics.seconds_since('in') == float('inf')
    assert statistics.rate_hz('in') == 0.0
    for value in range(101):
        statistics.latency(float(value))
    statistics.count('in', 3)
    assert statistics.counted('in') == 3
    assert statistics.percentile_ms(50) == 50.0
    assert statistics.percentile_ms(99) == 99.0
    assert statistics.seconds_since('in') < 5.0
    assert statistics.recent('in') == 3 and statistics.recent('in', 0.0) == 0
    assert statistics.recent('out') == 0
