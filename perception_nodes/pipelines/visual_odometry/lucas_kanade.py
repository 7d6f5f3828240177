# SPDX-License-Identifier: Apache-2.0
"""The classical front end: Shi-Tomasi corners followed by pyramidal Lucas-Kanade.

Shi & Tomasi, "Good features to track" (1994); Bouguet, "Pyramidal implementation of the affine
Lucas Kanade feature tracker" (2000). The covariance of a match is the photometric residual's
variance times the inverse of the window's structure tensor, the least-squares result.

Grey values are compared after local normalisation, so that neither two cameras with exposures of
their own nor a change of exposure moves a match.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_nodes.pipelines.visual_odometry.front_end import Bools, Found, Grey, View
from perception_nodes.types import Array, FloatArray

# Local normalisation: side of the neighbourhood, and the contrast it is brought to. Contrast that
# is small beside the floor is noise and stays small. All but the side in grey levels.
_LEVEL_PX, _LEVEL_CONTRAST, _LEVEL_FLOOR = 25, 32.0, 4.0
_UNLIKE = 16.0  # mean difference of two windows that do not show the same, levelled grey values
_TERMINATION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.02)


class LucasKanade:
    """Corners and their displacement.

    Parameters
    ----------
    window_px : side of the window that is compared.
    levels : pyramid levels above the image itself.
    cell_px : at most one corner in each cell of this size.
    quality : a corner's smaller eigenvalue must exceed this part of the image's 99th percentile.
    round_trip_px : going there and back must end this near to the start.
    sigma_floor_px : no position is believed better than this.
    """

    def __init__(
        self, *, window_px: int = 11, levels: int = 3, cell_px: int = 24, quality: float = 0.02,
        round_trip_px: float = 0.7, sigma_floor_px: float = 0.1,
    ) -> None:
        self.window_px = window_px
        self.levels = levels
        self.cell_px = cell_px
        self.quality = quality
        self.round_trip_px = round_trip_px
        self.sigma_floor_px = sigma_floor_px

    def view(self, grey: Grey, image: Array) -> View:
        """Level and halve the image; the colour is not used."""
        del image
        return View(levelled(grey), halved(grey))

    def detect(self, view: View, taken_px: FloatArray, count: int) -> FloatArray:
        """Take the best corner of each free cell, strongest first."""
        strength: FloatArray = np.asarray(cv2.cornerMinEigenVal(view.half, 5), np.float32)
        margin = self.window_px // 4 + 1
        strength[:margin] = strength[-margin:] = 0
        strength[:, :margin] = strength[:, -margin:] = 0
        floor = max(self.quality * float(np.percentile(strength, 99)), 1e-6)
        corners, values = _best_of_cells(strength, max(self.cell_px // 2, 2))
        cells = np.floor(2 * corners / self.cell_px).astype(int)
        free = values > floor
        if len(taken_px):
            across = view.grey.shape[1] // self.cell_px + 2
            taken = np.floor(taken_px / self.cell_px).astype(int) @ np.array([1, across])
            free &= ~np.isin(cells @ np.array([1, across]), taken)
        chosen = np.flatnonzero(free)
        chosen = chosen[np.argsort(-values[chosen], kind='stable')][:count]
        return np.asarray(2.0 * corners[chosen] + 0.5)

    def follow(
        self, view0: View, points0_px: FloatArray, view1: View, guess1_px: FloatArray
    ) -> Found:
        """Go from image 0 to image 1 and back; keep what comes home."""
        count = len(points0_px)
        if not count:
            return Found(np.zeros((0, 2)), np.zeros((0, 2, 2)), np.zeros(0, dtype=bool))
        start = points0_px.astype(np.float32)
        guess = np.where(np.isfinite(guess1_px), guess1_px, points0_px)
        end, seen, error = self._lucas_kanade(view0.grey, view1.grey, start, guess)
        back, returned, _ = self._lucas_kanade(view1.grey, view0.grey, end, start)
        points = end.astype(np.float64)
        height, width = view1.grey.shape
        valid = seen & returned & (np.linalg.norm(back - start, axis=1) < self.round_trip_px)
        valid &= error < _UNLIKE
        valid &= (points >= 1).all(axis=1) & (points < [width - 2, height - 2]).all(axis=1)
        points[~valid] = np.nan
        return Found(points, self._covariance(view0.grey, points0_px, error), valid)

    def _lucas_kanade(
        self, grey0: Grey, grey1: Grey, points: FloatArray, guess: FloatArray
    ) -> tuple[FloatArray, Bools, FloatArray]:
        found = cv2.calcOpticalFlowPyrLK(
            grey0, grey1, _as_points(points), _as_points(guess),
            winSize=(self.window_px, self.window_px), maxLevel=self.levels,
            criteria=_TERMINATION, flags=cv2.OPTFLOW_USE_INITIAL_FLOW, minEigThreshold=1e-4,
        )
        points1, seen, error = (np.asarray(array)[:, 0] for array in found)
        with np.errstate(invalid='ignore'):  # where nothing was found, anything may stand
            return points1.astype(np.float32), seen > 0, error.astype(np.float64)

    def _covariance(self, grey: Grey, points_px: FloatArray, error: FloatArray) -> FloatArray:
        """Residual variance times the inverse structure tensor, plus the floor, [N, 2, 2]."""
        radius = self.window_px // 2
        tensor = structure_tensors(grey, points_px, radius)
        sigma = 1.25 * np.clip(np.nan_to_num(error, nan=255.0), 1.0, 255.0)  # mean |x| -> sigma
        tensor = tensor / (sigma**2)[:, None, None] + 1e-4 * np.eye(2)
        return np.asarray(np.linalg.inv(tensor) + self.sigma_floor_px**2 * np.eye(2))


def levelled(grey: Grey) -> Grey:
    """Make every neighbourhood have the same mean and nearly the same contrast, uint8 [H, W]."""
    # In place, and windows of bytes: float images and temporaries took six times as long.
    side = (_LEVEL_PX, _LEVEL_PX)
    mean: FloatArray = np.asarray(cv2.boxFilter(grey, cv2.CV_32F, side), np.float32)
    contrast: FloatArray = np.asarray(cv2.sqrBoxFilter(grey, cv2.CV_32F, side), np.float32)
    contrast -= mean * mean
    np.sqrt(np.maximum(contrast, 0.0, out=contrast), out=contrast)
    contrast += _LEVEL_FLOOR
    values: FloatArray = np.asarray(cv2.subtract(grey, mean, dtype=cv2.CV_32F), np.float32)
    np.divide(values, contrast, out=values)
    values *= _LEVEL_CONTRAST
    values += 128.0
    return np.asarray(np.clip(values, 0, 255, out=values), np.uint8)


def halved(grey: Grey) -> Grey:
    """Average blocks of 2x2 pixels; pixel (x, y) covers (2x, 2y) .. (2x + 1, 2y + 1)."""
    height, width = grey.shape[0] // 2 * 2, grey.shape[1] // 2 * 2
    if not height or not width:
        return grey
    even = grey[:height, :width]
    half = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def structure_tensors(grey: Grey, points_px: FloatArray, radius: int) -> FloatArray:
    """Sums of gradient products over square windows, float64 [N, 2, 2], grey levels² per px²."""
    height, width = grey.shape
    offset = np.arange(-radius - 1, radius + 2)
    centre = np.rint(np.nan_to_num(points_px)).astype(int)
    rows = np.clip(centre[:, 1, None] + offset, 0, height - 1)
    columns = np.clip(centre[:, 0, None] + offset, 0, width - 1)
    patch = grey[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    gx = 0.5 * (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2])
    gy = 0.5 * (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1])
    xx, xy, yy = ((a * b).sum((1, 2), dtype=np.float64) for a, b in ((gx, gx), (gx, gy), (gy, gy)))
    return np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)


def _best_of_cells(strength: FloatArray, cell: int) -> tuple[FloatArray, FloatArray]:
    """Find each cell's maximum: pixel (x, y) [M, 2] and value [M]."""
    rows, columns = -(-strength.shape[0] // cell), -(-strength.shape[1] // cell)
    padded = np.zeros((rows * cell, columns * cell), dtype=np.float32)
    padded[: strength.shape[0], : strength.shape[1]] = strength
    cells = padded.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3).reshape(-1, cell**2)
    best = cells.argmax(axis=1)
    top, left = np.divmod(np.arange(rows * columns), columns)
    corners = np.stack([left * cell + best % cell, top * cell + best // cell], axis=1)
    return corners.astype(np.float64), cells[np.arange(len(cells)), best]


def _as_points(points_px: FloatArray) -> NDArray[np.float32]:
    """Copy points [N, 2] to float32 [N, 1, 2]; OpenCV writes its answer into the guess."""
    return np.array(points_px, dtype=np.float32).reshape(-1, 1, 2)
