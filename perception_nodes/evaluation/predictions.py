# SPDX-License-Identifier: Apache-2.0
"""Predictions on disk between the loop that makes them and the loop that scores them."""

import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from perception_nodes.types import Array

__all__ = ['Predictions']


class Predictions:
    """Named arrays of every frame in a temporary folder that goes away with the ``with`` block.

    On disk, because the deviations of a few hundred frames do not fit into every memory.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix='perception_predictions_')

    def __enter__(self) -> 'Predictions':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def save(self, index: int, arrays: dict[str, Array]) -> None:
        """Keep a frame's arrays."""
        np.savez(self._path(index), **arrays)

    def load(self, index: int) -> dict[str, Array]:
        """Give a frame's arrays back."""
        with np.load(self._path(index), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def _path(self, index: int) -> Path:
        return Path(self._folder.name, f'{index:06d}.npz')
