# SPDX-License-Identifier: Apache-2.0
"""Batches that other processes draw while the network learns."""

import multiprocessing
import signal
from concurrent.futures import Future, ProcessPoolExecutor

import cv2
from torch import Tensor

from perception_nodes.training.dense_batches import Draw, Sample, draw_batch, stack

_DRAW: list[tuple[Draw, int, int]] = []
AHEAD = 6


class WorkerBatches:
    """The batches of DenseBatches, drawn ahead by processes; the same ones, whoever draws.

    The processes are forks: they see what ``draw`` holds (images, labels) without a copy. So the
    object is made before torch starts threads of its own. OpenCV has one thread from then on.

    Parameters
    ----------
    draw, batch_size, seed : see DenseBatches.
    workers : processes.
    """

    def __init__(self, draw: Draw, batch_size: int, seed: int = 0, workers: int = 1) -> None:
        # OpenCV's threads must end before the fork: a child that inherits their locks without
        # them waits for ever when it is told how many to use.
        cv2.setNumThreads(1)
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context('fork'), _begin, (draw, batch_size, seed)
        )
        self._pool.submit(int).result()  # fork now, not with the first batch
        self._drawn: dict[int, Future[Sample]] = {}

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, and have those that follow drawn."""
        self._drawn = {key: value for key, value in self._drawn.items() if key >= step}
        for number in range(step, step + AHEAD):
            if number not in self._drawn:
                self._drawn[number] = self._pool.submit(_drawn_batch, number)
        return {key: stack(arrays) for key, arrays in self._drawn.pop(step).result().items()}


def _begin(draw: Draw, batch_size: int, seed: int) -> None:
    """Set a worker up; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _DRAW[:] = [(draw, batch_size, seed)]


def _drawn_batch(step: int) -> Sample:
    draw, batch_size, seed = _DRAW[0]
    return draw_batch(draw, batch_size, seed, step)
