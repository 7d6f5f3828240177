# SPDX-License-Identifier: Apache-2.0
"""Where along its row a point of the left image lies in the right one, to a pixel or two.

Zero-mean normalised cross-correlation on images of half the size; sub-pixel matching starts from
its answer.
"""

import cv2
import numpy as np

from perception_nodes.types import Array, FloatArray

RADIUS = 4  # of the window, in pixels of the halved image
MIN_CORRELATION = 0.7
MIN_CONTRAST = 2.0  # grey levels: less is a flat window


def coarse_disparity(
    left_half: Array, right_half: Array, points_px: FloatArray, max_disparity_px: float
) -> FloatArray:
    """Search each point's row.

    Parameters
    ----------
    left_half, right_half : uint8 [H/2, W/2], the rectified pair at half its size.
    points_px : [N, 2] in the left image at full size.
    max_disparity_px : widest disparity, full-size pixels.

    Returns
    -------
    float64 [N] pixels at full size, about 1 px exact; NaN where no place, or more than one,
    looks alike.
    """
    count, height, width = len(points_px), *left_half.shape
    result = np.full(count, np.nan)
    steps = int(np.ceil(max_disparity_px / 2)) + 1
    side = 2 * RADIUS + 1
    if count == 0 or min(height, width) <= side:
        return result
    centre = np.rint((points_px - 0.5) / 2).astype(int)
    row = np.clip(centre[:, 1], RADIUS, height - RADIUS - 1)
    column = np.clip(centre[:, 0], RADIUS, width - RADIUS - 1)
    rows = row[:, None] + np.arange(-RADIUS, RADIUS + 1)
    columns = column[:, None] + np.arange(-RADIUS, RADIUS + 1)
    patch = left_half[rows[:, :, None], columns[:, None]]
    patch = patch.astype(np.float32)
    patch -= patch.mean((1, 2), keepdims=True)
    contrast = np.sqrt((patch**2).mean((1, 2)))

    centres = column[:, None] - np.arange(steps)  # of the window in the right image
    right = right_half.astype(np.float32)
    mean = cv2.boxFilter(right, -1, (side, side))
    spread = np.sqrt(np.maximum(cv2.boxFilter(right * right, -1, (side, side)) - mean**2, 1e-6))
    inside = centres >= RADIUS
    at = np.clip(centres, RADIUS, width - RADIUS - 1)
    strip = right[
        rows[:, :, None],
        np.clip(column[:, None] + np.arange(RADIUS, -RADIUS - steps, -1), 0, width - 1)[:, None],
    ]  # [N, side, steps + side - 1], from right to left
    windows = np.lib.stride_tricks.sliding_window_view(strip, side, axis=2)
    product = np.einsum('nij,nidj->nd', patch[:, :, ::-1], windows, optimize=False) / side**2
    score = product / (contrast[:, None] * spread[row[:, None], at] + 1e-6)
    score[~inside] = -1.0

    best = score.argmax(axis=1)
    top = score[np.arange(count), best]
    rival = np.where(np.abs(np.arange(steps) - best[:, None]) > 2, score, -1.0).max(axis=1)
    good = (top > MIN_CORRELATION) & (contrast > MIN_CONTRAST) & (rival < top - 0.05 * (1 - top))
    good &= (rival < 0.98 * top)
    before = score[np.arange(count), np.maximum(best - 1, 0)]
    after = score[np.arange(count), np.minimum(best + 1, steps - 1)]
    bend = before - 2 * top + after
    inner = (best > 0) & (best < steps - 1) & (bend < -1e-6) & (before > -1) & (after > -1)
    shift = np.where(inner, 0.5 * (before - after) / np.where(inner, bend, 1.0), 0.0)
    result[good] = 2.0 * (best + shift)[good]
    return result
