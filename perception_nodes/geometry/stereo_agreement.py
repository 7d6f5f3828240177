# SPDX-License-Identifier: Apache-2.0
"""Where the two images of a pair contradict a disparity, whoever estimated it.

A matcher that is asked for a surface nearer than its range, or of a pair that is none, still
answers. Bringing the right image over by its answer shows that the two do not look alike there:
zero-mean normalised cross-correlation, which does not mind that one camera is darker.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_nodes.types import Array, FloatArray

__all__ = ['contradicted']

SMALLEST_PX = 64  # of a side: smaller ones are not checked
_RADIUS = 4  # of the window that is correlated, pixels of the halved images
_ALIKE = 0.4  # correlation below which two textured windows do not show the same
_CONTRAST = 3.0  # grey levels: less is a flat window, which agrees with everything
_NEIGHBOURHOOD = 25  # side of the region of which most windows must contradict, halved pixels


def contradicted(
    left: Array, right: Array, shift_px: FloatArray
) -> NDArray[np.bool_]:
    """Find regions of the left image that are not in the right one where they should be.

    Single windows are wrong at every edge and occlusion; a region counts where most of its
    textured windows disagree.

    Parameters
    ----------
    left, right : uint8 [H, W].
    shift_px : [H, W], the point at column u is claimed to be at ``u - shift_px`` in the right
        image; NaN: no claim.

    Returns
    -------
    bool [H, W]; all False for images with a side under ``SMALLEST_PX``.
    """
    height, width = (side // 2 * 2 for side in left.shape)
    if min(height, width) < SMALLEST_PX:
        return np.zeros(left.shape, np.bool_)
    half = (width // 2, height // 2)
    ours, theirs = (
        np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.float32)
        for image in (np.asarray(left, np.uint8)[:height, :width],
                      np.asarray(right, np.uint8)[:height, :width])
    )
    shift = np.asarray(shift_px[:height:2, :width:2], np.float32) / 2
    column = np.arange(half[0], dtype=np.float32) - np.nan_to_num(shift)
    row = np.repeat(np.arange(half[1], dtype=np.float32)[:, None], half[0], axis=1)
    moved = cv2.remap(theirs, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alike, contrast = _correlation(ours, np.asarray(moved, np.float32))
    textured = (contrast > _CONTRAST) & np.isfinite(shift)
    unlike = textured & (alike < _ALIKE)
    side = (_NEIGHBOURHOOD, _NEIGHBOURHOOD)
    of_textured = np.maximum(cv2.boxFilter(textured.astype(np.float32), -1, side), 0.05)
    wrong = cv2.boxFilter(unlike.astype(np.float32), -1, side) > 0.5 * of_textured
    return np.asarray(
        cv2.resize(wrong.astype(np.uint8), left.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    )


def _correlation(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlation -1..1 of the windows around each pixel, and the first one's contrast."""
    side = (2 * _RADIUS + 1, 2 * _RADIUS + 1)
    mean0, mean1 = cv2.boxFilter(first, -1, side), cv2.boxFilter(second, -1, side)
    variance0 = np.maximum(cv2.sqrBoxFilter(first, -1, side) - mean0 * mean0, 1e-3)
    variance1 = np.maximum(cv2.sqrBoxFilter(second, -1, side) - mean1 * mean1, 1e-3)
    covariance = cv2.boxFilter(first * second, -1, side) - mean0 * mean1
    return covariance / np.sqrt(variance0 * variance1), np.sqrt(variance0)
