# SPDX-License-Identifier: Apache-2.0
"""Street images folded up into scenes with exact disparity and motion.

A labelled image is cut along its classes: the ground is a plane, what stands on it stands where
it touches the ground (automatic photo pop-up, Hoiem et al. 2005), the sky is far. The other
image of a pair, a second camera's or an earlier moment's, is rendered from that. The scene is
only roughly the true one, the match between the two images is exact: that is what stereo and
flow learn, from the textures of real roads.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from perception_nodes.types import UNLABELLED, Array, FloatArray

SKY = 0
GROUND = (3, 4)
WALLS = (1, 5, 7)  # building, tree, fence: they touch the ground column by column
STANDING = ((2, 6), (8,), (9,), (10,))  # pole with sign, car, pedestrian, bicyclist: as one piece
FAR_ROWS = 1.5


@dataclass(frozen=True)
class Folded:
    """An image with its shape.

    Attributes
    ----------
    image : uint8 [H, W, 3] RGB.
    rows : float32 [H, W], how many rows under the horizon the ground at that depth is; inverse
        depth times focal length times height of the camera, 0 = infinitely far.
    piece : int32 [H, W], what moves together; 0 = does not move by itself.
    horizon : row of the horizon, pixels.
    """

    image: Array
    rows: FloatArray
    piece: Array
    horizon: float


def fold(image: Array, labels: Array) -> Folded:
    """Fold an image uint8 [H, W, 3] with CamVid's 11 class ids uint8 [H, W] (255 = none)."""
    labels = _without_gaps(labels)
    height, width = labels.shape
    ground = np.isin(labels, GROUND)
    ground_rows = np.nonzero(ground.sum(1) > 0.02 * width)[0]
    horizon = float(ground_rows[0] - 4) if len(ground_rows) else 0.45 * height
    below = np.arange(height, dtype=np.float32)[:, None] - horizon
    rows = np.broadcast_to(np.maximum(below, FAR_ROWS), (height, width)).copy()
    rows[labels == SKY] = 0.0
    for wall in WALLS:
        mask = labels == wall
        if mask.any():
            contact = _wall_contact(mask, ground, horizon)
            rows[mask] = np.broadcast_to(contact[None, :], mask.shape)[mask]
    piece = np.zeros((height, width), np.int32)
    for kind in STANDING:
        count, components = cv2.connectedComponents(np.isin(labels, kind).astype(np.uint8))
        for index in range(1, count):
            mask = components == index
            ys = np.nonzero(mask)[0]
            rows[mask] = max(float(np.percentile(ys, 97)) - horizon, 2 * FAR_ROWS)
            if kind != (2, 6):
                piece[mask] = piece.max() + 1
    return Folded(image, rows, piece, horizon)


def _without_gaps(labels: Array) -> Array:
    """Assign unlabelled pixels the label of the nearest labelled one."""
    gap = labels == UNLABELLED
    if not gap.any() or gap.all():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        gap.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(int(nearest.max()) + 1, labels.dtype)
    lookup[nearest[~gap]] = labels[~gap]
    return lookup[nearest]


def _wall_contact(mask: Array, ground: Array, horizon: float) -> FloatArray:
    """Rows under the horizon where a wall meets the ground, float32 [W], smooth over columns."""
    height, width = mask.shape
    lowest = height - 1 - mask[::-1].argmax(0)
    columns = np.arange(width)
    under = ground[np.minimum(lowest + 3, height - 1), columns]
    valid = mask.any(0) & under & (lowest > horizon + FAR_ROWS)
    if valid.sum() < 3:
        return np.full(width, 8 * FAR_ROWS, np.float32)
    contact = np.interp(columns, columns[valid], (lowest - horizon)[valid]).astype(np.float32)
    contact = cv2.medianBlur(contact[None, :].repeat(3, 0), 5)[1]
    return np.maximum(cv2.GaussianBlur(contact[None], (0, 0), 3)[0], FAR_ROWS)


def other_view(
    image: Array, shift_px: FloatArray, near: FloatArray, filler: Array
) -> tuple[Array, Array]:
    """Render the image in which every pixel p of this one appears at ``p - shift_px(p)``.

    Parameters
    ----------
    image, filler : uint8 [H, W, 3]; the filler shows where nothing of the image lands.
    shift_px : float32 [H, W, 2] (x, y). Of a stereo pair's left image: (disparity, 0).
    near : float32 [H, W]; of two pixels that land on one place the larger is seen.

    Returns
    -------
    The other image, and bool [H, W] on this grid: whether the pixel is seen there.
    """
    height, width = near.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    to_x, to_y = x - shift_px[..., 0], y - shift_px[..., 1]
    order = np.argsort(near, axis=None, kind='stable')
    source_x, source_y = x.ravel()[order], y.ravel()[order]
    to_x_sorted, to_y_sorted = to_x.ravel()[order], to_y.ravel()[order]
    from_x = np.full((height, width), -1e4, np.float32)
    from_y = np.full((height, width), -1e4, np.float32)
    winner = np.full((height, width), -1.0, np.float32)
    cells = [(np.floor(to_x_sorted) + dx, np.floor(to_y_sorted) + dy)
             for dy in (0, 1) for dx in (0, 1)]
    near_sorted = near.ravel()[order]
    for cell_x, cell_y in cells:
        # Nearest last: of several writes to one cell numpy keeps the last. A later corner of the
        # footprint must not overwrite something nearer, hence the comparison.
        inside = (cell_x >= 0) & (cell_x < width) & (cell_y >= 0) & (cell_y < height)
        column, row = cell_x[inside].astype(np.intp), cell_y[inside].astype(np.intp)
        nearer = near_sorted[inside] >= winner[row, column]
        column, row, kept = column[nearer], row[nearer], np.nonzero(inside)[0][nearer]
        from_x[row, column] = source_x[kept] + (column - to_x_sorted[kept])
        from_y[row, column] = source_y[kept] + (row - to_y_sorted[kept])
        winner[row, column] = near_sorted[kept]
    other = cv2.remap(image, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    other = np.where((winner >= 0)[..., None], other, filler)
    at_x, at_y = np.rint(to_x).astype(np.intp), np.rint(to_y).astype(np.intp)
    seen = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height)
    front = winner[at_y.clip(0, height - 1), at_x.clip(0, width - 1)]
    seen &= near >= front - 0.02 * np.abs(front) - 0.5
    return other, seen
