# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with what is rendered, optionally in several processes, and resumes."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2

from perception_nodes.simulation.cache import write_sample
from perception_nodes.types import PerceptionError

__all__ = ['fill_cache']

T = TypeVar('T')


def fill_cache(
    folder: str | Path, samples_from: Callable[..., Iterator[T]], count: int,
    progress: Callable[[int, int], None] | None = None, *, workers: int = 1, block: int = 12,
    write: Callable[[Path, T], None] = write_sample,  # type: ignore[assignment]
) -> None:
    """Write those of the first samples that are not there yet; the files depend on nothing else.

    Parameters
    ----------
    samples_from : called with start=N gives the samples from number N on, such as
        ``partial(random_views, seed)``.
    progress : called with (samples there, count) now and then.
    workers : processes that render. More than one need a ``samples_from`` that can be pickled, and
        a main script that does nothing when it is imported.
    block : how many samples in a row share what is costly to make: a worker gets all of them.
    write : writes one of them.

    Raises
    ------
    PerceptionError
        If a sample cannot be written, or a process ends before its work.
    """
    folder = Path(folder)
    missing = [n for n in range(count) if not _file(folder, n).exists()]
    runs = _runs(missing, block)
    there = count - len(missing)
    work = partial(_write_run, folder, samples_from, write)
    with contextlib.ExitStack() as stack:
        if workers > 1 and len(runs) > 1:
            finished = _in_processes(stack, work, runs, min(workers, len(runs)))
        else:
            finished = map(work, runs)
        for written in finished:
            there += written
            if progress is not None:
                progress(there, count)


def _file(folder: Path, number: int) -> Path:
    return folder / f'{number:06d}.npz'


def _runs(numbers: list[int], block: int) -> list[range]:
    """Join consecutive numbers of one block."""
    runs: list[range] = []
    for number in numbers:
        if runs and runs[-1].stop == number and number % block:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


def _write_run(
    folder: Path, samples_from: Callable[..., Iterator[T]], write: Callable[[Path, T], None],
    run: range,
) -> int:
    """Render and write consecutive samples; how many."""
    for number, sample in zip(run, samples_from(start=run.start), strict=False):
        write(_file(folder, number), sample)
    return len(run)


def _in_processes(
    stack: contextlib.ExitStack, work: Callable[[range], int], runs: list[range], workers: int
) -> Iterator[int]:
    """Write the runs in processes of their own, started afresh: torch may have threads here."""
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), initializer=_alone
    )
    stack.callback(pool.shutdown, cancel_futures=True)
    try:
        for future in as_completed([pool.submit(work, run) for run in runs]):
            yield future.result()
    except BrokenProcessPool:
        raise PerceptionError(
            'a rendering process ended before its work (out of memory?); what was written is '
            'kept: start again, perhaps with one worker'
        ) from None


def _alone() -> None:
    """Set up a process: one thread; on Ctrl-C the parent decides, when a run is written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
