# SPDX-License-Identifier: Apache-2.0
"""Rendered samples kept on disk, for trainings that read faster than they could render.

``FOLDER/000000.npz ...``, one compressed NumPy archive a sample (no pickles), with the arrays
left, right, older uint8 [H, W, 3] RGB; disparity_px float16 [H, W] (0 = sky); labels uint8 [H, W]
(CamVid's 11, 255 = none); occluded bool [H, W] (hidden in the right image); flow_px float16
[H, W, 2] (types.Flow: since ``older``, on the grid of ``left``; NaN = was behind the camera);
flow_occluded bool [H, W]; k float64 [3, 3] px; baseline_m float64 []. ``depth_m`` follows from
these. Half precision rounds by 0.05 % at most.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_nodes.files import arrays as array_files
from perception_nodes.files.atomic import write_atomically
from perception_nodes.simulation.render.stereo_view import StereoSample
from perception_nodes.types import Array, DataError, FloatArray, PerceptionError

__all__ = ['CachedSample', 'RenderedCache', 'read_arrays', 'write_arrays', 'write_sample']

_ARRAYS = {
    'left': 'uint8', 'right': 'uint8', 'older': 'uint8', 'disparity_px': 'float16',
    'labels': 'uint8', 'occluded': 'bool', 'flow_px': 'float16', 'flow_occluded': 'bool',
    'k': 'float64', 'baseline_m': 'float64',
}  # fmt: skip


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
            raise DataError(f'{folder} holds no rendered samples; fill it first')

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> CachedSample:
        return CachedSample(**read_arrays(self.files[index], _ARRAYS))


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, Array]:
    """Read what ``write_arrays`` wrote.

    Raises
    ------
    PerceptionError
        If the file is broken or lacks an array.
    """
    try:
        return array_files.read_arrays(path, names, others=True)
    except PerceptionError as error:
        raise DataError(f'{path} is not a rendered sample: {error}') from None


def write_sample(path: Path, sample: StereoSample) -> None:
    """Keep a sample that has flow and an older view; the file is whole or not there.

    Raises
    ------
    PerceptionError
        If the sample has no flow, or the disk is full or read-only.
    """
    if sample.flow_px is None or sample.flow_occluded is None or sample.older is None:
        raise DataError('only samples with flow can be kept: render them with flow=True')
    arrays = {
        'left': sample.left.data, 'right': sample.right.data, 'older': sample.older.data,
        'disparity_px': sample.disparity_px, 'labels': sample.labels,
        'occluded': sample.occluded, 'flow_px': sample.flow_px,
        'flow_occluded': sample.flow_occluded, 'k': sample.rig.left.rectified_k,
        'baseline_m': np.array(sample.rig.baseline_m),
    }
    with np.errstate(over='ignore'):
        write_arrays(path, {name: arrays[name].astype(kind) for name, kind in _ARRAYS.items()})


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write a compressed archive that is whole or not there.

    Raises
    ------
    PerceptionError
        If the disk is full or read-only.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    write_atomically(path, packed.getvalue())
