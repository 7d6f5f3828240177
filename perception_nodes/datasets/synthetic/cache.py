# SPDX-License-Identifier: Apache-2.0
"""Rendered samples kept on disk, for trainings that read faster than they could render.

``FOLDER/000000.npz ...``, one compressed NumPy archive a sample (no pickles), with the arrays
left, right, older uint8 [H, W, 3] RGB; disparity_px float16 [H, W] (0 = sky); labels uint8 [H, W]
(CamVid's 11, 255 = none); occluded bool [H, W] (hidden in the right image); flow_px float16
[H, W, 2] (types.Flow: since ``older``, on the grid of ``left``; NaN = was behind the camera);
flow_occluded bool [H, W]; k float64 [3, 3] px; baseline_m float64 []. ``depth_m`` follows from
these. Half precision rounds by 0.05 % at most.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from perception_nodes.datasets.synthetic.stereo_view import StereoSample
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = ['CachedSample', 'RenderedCache', 'fill_cache', 'write_sample']

_ARRAYS = {
    'left': 'uint8', 'right': 'uint8', 'older': 'uint8', 'disparity_px': 'float16',
    'labels': 'uint8', 'occluded': 'bool', 'flow_px': 'float16', 'flow_occluded': 'bool',
    'k': 'float64', 'baseline_m': 'float64',
}  # fmt: skip
_BLOCK = 12


@dataclass(frozen=True)
class CachedSample:
    """One sample as it was kept; see the module for shapes and units."""

    left: Array
    right: Array
    older: Array
    disparity_px: FloatArray
    labels: Array
    occluded: Array
    flow_px: FloatArray
    flow_occluded: Array
    k: FloatArray
    baseline_m: FloatArray

    @property
    def depth_m(self) -> FloatArray:
        """Depth float32 [H, W] metres, NaN = sky."""
        disparity = self.disparity_px.astype(np.float32)
        depth = np.full_like(disparity, np.nan)
        scale = np.float32(self.k[0, 0] * float(self.baseline_m))
        np.divide(scale, disparity, out=depth, where=disparity > 0)
        return depth


class RenderedCache:
    """The samples of a folder, read one by one when asked for.

    Raises
    ------
    PerceptionError
        If the folder holds no sample; on reading, if a file is broken or lacks an array.
    """

    def __init__(self, folder: str | Path) -> None:
        self.files = sorted(Path(folder).glob('[0-9]*.npz'))
        if not self.files:
            raise PerceptionError(f'{folder} holds no rendered samples; fill it first')

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> CachedSample:
        path = self.files[index]
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise PerceptionError(f'{path} is not a rendered sample: {error}') from None
        return CachedSample(**arrays)


def write_sample(path: Path, sample: StereoSample) -> None:
    """Keep a sample that has flow and an older view; the file is whole or not there.

    Raises
    ------
    PerceptionError
        If the sample has no flow, or the disk is full or read-only.
    """
    if sample.flow_px is None or sample.flow_occluded is None or sample.older is None:
        raise PerceptionError('only samples with flow can be kept: render them with flow=True')
    arrays = {
        'left': sample.left.data, 'right': sample.right.data, 'older': sample.older.data,
        'disparity_px': sample.disparity_px, 'labels': sample.labels,
        'occluded': sample.occluded, 'flow_px': sample.flow_px,
        'flow_occluded': sample.flow_occluded, 'k': sample.rig.left.rectified_k,
        'baseline_m': np.array(sample.rig.baseline_m),
    }
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open('wb') as stream, np.errstate(over='ignore'):
            np.savez_compressed(stream, **{n: arrays[n].astype(t) for n, t in _ARRAYS.items()})
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise PerceptionError(f'cannot write {path}: {error.strerror or error}') from None


def fill_cache(
    folder: str | Path, samples_from: Callable[..., Iterator[StereoSample]], count: int,
    progress: Callable[[int, int], None] | None = None, *, workers: int = 1,
) -> None:
    """Write those of the first samples that are not there yet; the files depend on nothing else.

    Parameters
    ----------
    samples_from : called with start=N gives the samples from number N on, such as
        ``partial(random_views, seed)``.
    progress : called with (samples there, count) now and then.
    workers : processes that render. More than one need a ``samples_from`` that can be pickled, and
        a main script that does nothing when it is imported.

    Raises
    ------
    PerceptionError
        If a sample cannot be written, or a process ends before its work.
    """
    folder = Path(folder)
    missing = [n for n in range(count) if not _file(folder, n).exists()]
    runs = _runs(missing)
    there = count - len(missing)
    write = partial(_write_run, folder, samples_from)
    with contextlib.ExitStack() as stack:
        if workers > 1 and len(runs) > 1:
            finished = _in_processes(stack, write, runs, min(workers, len(runs)))
        else:
            finished = map(write, runs)
        for written in finished:
            there += written
            if progress is not None:
                progress(there, count)


def _file(folder: Path, number: int) -> Path:
    return folder / f'{number:06d}.npz'


def _runs(numbers: list[int]) -> list[range]:
    """Join consecutive numbers of one block: they look at one street, which is built once."""
    runs: list[range] = []
    for number in numbers:
        if runs and runs[-1].stop == number and number % _BLOCK:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


def _write_run(
    folder: Path, samples_from: Callable[..., Iterator[StereoSample]], run: range
) -> int:
    """Render and write consecutive samples; how many."""
    for number, sample in zip(run, samples_from(start=run.start), strict=False):
        write_sample(_file(folder, number), sample)
    return len(run)


def _in_processes(
    stack: contextlib.ExitStack, write: Callable[[range], int], runs: list[range], workers: int
) -> Iterator[int]:
    """Write the runs in processes of their own, started afresh: torch may have threads here."""
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), initializer=_alone
    )
    stack.callback(pool.shutdown, cancel_futures=True)
    try:
        for future in as_completed([pool.submit(write, run) for run in runs]):
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
