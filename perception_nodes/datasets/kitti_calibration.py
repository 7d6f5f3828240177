# SPDX-License-Identifier: Apache-2.0
"""KITTI's calibration files: lines of a name and numbers, and the rig that two of them make."""

from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import read_text
from perception_nodes.types import Camera, DataError, FloatArray, StereoRig

__all__ = ['projection', 'read_calibration', 'rig_of_projections', 'single_number']


def read_calibration(path: Path) -> dict[str, FloatArray]:
    """Read lines ``name: numbers`` (the colon may be missing); words that are no numbers go."""
    if not path.is_file():
        raise DataError(f'{path} is missing: the calibration of the pairs')
    values = {}
    for line in read_text(path).splitlines():
        name, _, numbers = line.strip().partition(' ')
        try:
            values[name.rstrip(':')] = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue
    return values


def projection(values: dict[str, FloatArray], name: str, path: Path) -> FloatArray:
    """Look up a projection matrix, float64 [3, 4]; path: of the file, for the error."""
    matrix = values.get(name, np.empty(0))
    if matrix.size != 12 or not np.isfinite(matrix).all():
        raise DataError(f'{path}: {name} with 12 numbers is missing or not finite')
    return matrix.reshape(3, 4)


def single_number(values: dict[str, FloatArray], name: str, path: Path) -> float:
    """Look up one positive number; path: of the file, for the error."""
    number = values.get(name, np.empty(0))
    if number.size != 1 or not 0 < number[0] < np.inf:
        raise DataError(f"{path}: '{name}' with one positive number is missing")
    return float(number[0])


def rig_of_projections(
    width: int, height: int, left: FloatArray, right: FloatArray
) -> StereoRig:
    """Make a rig of two rectified projections [3, 4] of one reference camera.

    KITTI measures every camera from camera 0; the package measures the right from the left.
    """
    k = left[:, :3]
    return StereoRig(
        Camera(width, height, k, np.hstack([k, np.zeros((3, 1))])),
        Camera(width, height, k, np.hstack([k, (right - left)[:, 3:] * [[1], [0], [0]]])),
    )
