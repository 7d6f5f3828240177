# SPDX-License-Identifier: Apache-2.0
"""Short drives seen by one camera, with exact depth and poses: to learn depth and motion from.

Kept as ``FOLDER/000000.npz ...``, one compressed NumPy archive a clip, by ``filling.fill_cache``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_nodes.simulation.cache import read_arrays, write_arrays
from perception_nodes.simulation.drive import DriveConfig, drive
from perception_nodes.simulation.render.stereo_view import stereo_rig
from perception_nodes.types import Array, FloatArray, StereoRig

__all__ = ['Clip', 'read_clip', 'rendered_clips', 'write_clip']

_ARRAYS = {
    'images': 'uint8', 'depth_m': 'float16', 'world_from_camera': 'float64', 'k': 'float64',
}
_SPEED_MPS = (4.0, 14.0)


@dataclass(frozen=True)
class Clip:
    """F images in a row, a tenth of a second apart.

    Attributes
    ----------
    images : uint8 [F, H, W, 3] RGB. depth_m : float16 [F, H, W] along the optical axis, NaN = sky.
    world_from_camera : float64 [F, 4, 4]. k : float64 [3, 3] px.
    """

    images: Array
    depth_m: FloatArray
    world_from_camera: FloatArray
    k: FloatArray


def rendered_clips(
    seed: int, frames: int = 12, rig: StereoRig | None = None, *, start: int = 0
) -> Iterator[Clip]:
    """Yield clips without end from number start on, each of another street, day and speed.

    Parameters
    ----------
    rig : whose left camera it is; None: 416x128 px, with a field of view like KITTI's.
    """
    rig = rig or stereo_rig(416, 128, 240.0)
    while True:
        rng = np.random.default_rng([seed, 311, start])
        config = DriveConfig(speed_mps=float(rng.uniform(*_SPEED_MPS)))
        samples = list(drive(int(rng.integers(1 << 31)), frames, rig=rig, config=config))
        yield Clip(
            np.stack([sample.left.data for sample in samples]),
            np.stack([sample.depth_m for sample in samples]).astype(np.float16),
            np.stack([sample.left_view.world_from_camera for sample in samples]),
            rig.left.rectified_k,
        )
        start += 1


def write_clip(path: Path, clip: Clip) -> None:
    """Keep a clip; the file is whole or not there. Raises PerceptionError if that fails."""
    write_arrays(path, {name: getattr(clip, name).astype(kind) for name, kind in _ARRAYS.items()})


def read_clip(path: Path) -> Clip:
    """Read a kept clip. Raises PerceptionError if the file is broken."""
    return Clip(**read_arrays(path, _ARRAYS))
