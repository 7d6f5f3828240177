# SPDX-License-Identifier: Apache-2.0
"""Dense inverse search (Kroeger et al. 2016), OpenCV's DISOpticalFlow, there and back."""

from typing import Any

import cv2
import numpy as np

from perception_nodes.geometry.warp import pixel_grid
from perception_nodes.inference.classical.runner import ClassicalRunner, spread
from perception_nodes.inference.classical.sigma_table import SigmaTable
from perception_nodes.inference.model_card import ANY, ModelCard, TensorSpec
from perception_nodes.types import Array, FloatArray

DIS_CARD = ModelCard(
    name='dis', task='optical_flow',
    summary='dense inverse search by OpenCV, there and back, with a calibrated one-sigma',
    inputs=(
        TensorSpec('image0', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, the older'),
        TensorSpec('image1', 'uint8', (1, ANY, ANY, 3), '1', 'RGB image, the newest'),
    ),
    outputs=(
        TensorSpec(
            'flow_px', 'float32', (1, ANY, ANY, 2), 'px',
            '(x, y) on the grid of image1: the point at p was at p - flow_px[p] in image0',
        ),
        TensorSpec(
            'sigma_px', 'float32', (1, ANY, ANY), 'px', 'one sigma of each component'
        ),
    ),
    training={'data': 'none: nothing is learned but the table of sigma'},
    results={
        'middlebury_flow': {'epe_px': 0.363, 'fl': 0.0152, 'coverage1': 0.761,
                            'coverage2': 0.925, 'ause': 0.173},
    },
    calibration={
        'unit': 'px',
        'gap_edges': [0.1, 0.3, 1.0, 3.0],
        'spread_edges': [0.2, 1.0, 4.0],
        'sigma': [
            [0.0852, 0.28, 0.73, 1.87],
            [0.173, 0.439, 0.896, 2.71],
            [0.458, 0.709, 1.51, 4.16],
            [1.61, 2.39, 4.55, 6.99],
            [2.39, 10.5, 13.3, 14.3],
            [0.495, 4.17, 12.6, 19.5],
        ],
        'fitted_on': 'half of 4 Middlebury and 6 FlyingChairs pairs, two rendered streets',
        'held_out': {
            'Middlebury, the other pairs': {'coverage1': 0.741, 'coverage2': 0.907, 'ause': 0.225},
            'FlyingChairs, the other pairs': {
                'coverage1': 0.827, 'coverage2': 0.938, 'ause': 0.077,
            },
            'rendered streets of other seeds': {
                'coverage1': 0.788, 'coverage2': 0.902, 'ause': 0.236,
            },
        },
    },
)


class DisRunner(ClassicalRunner):
    """Two images in; flow on the newest one's grid and its sigma out."""

    def __init__(self) -> None:
        super().__init__(DIS_CARD)
        self._table = SigmaTable.of(DIS_CARD.calibration)
        self._dis = dense_inverse_search()

    def answer(self, first: Array, second: Array) -> dict[str, Array]:
        """Search from the newest image to the older one, and back."""
        flow, gap, change = flow_both_ways(self._dis, first, second)
        return {'flow_px': flow[None], 'sigma_px': self._table(gap, change)[None]}


def dense_inverse_search() -> Any:
    """Make the estimator, in its medium preset."""
    return cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]
        cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    )


def flow_both_ways(
    dis: Any, older: Array, newest: Array
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Flow [H, W, 2], and by what its sigma is read off the table, [H, W]; float32 pixels.

    Returns
    -------
    flow_px : on the newest grid. gap : how far the way back misses the start, NaN outside.
    change : spread of the flow around the pixel, of the component that changes more.
    """
    flow = -np.asarray(dis.calc(newest, older, None), np.float32)
    forward = np.asarray(dis.calc(older, newest, None), np.float32)
    change = np.maximum(spread(flow[..., 0]), spread(flow[..., 1]))
    return flow, gap_there_and_back(flow, forward), change


def gap_there_and_back(flow_px: FloatArray, forward_px: FloatArray) -> FloatArray:
    """How far a point that is traced back and forward again misses its start, float32 [H, W] px.

    Parameters
    ----------
    flow_px : [H, W, 2] on the newest grid (see types.Flow). forward_px : [H, W, 2] on the older
        grid, to the newest.

    Returns
    -------
    The miss; NaN where the way leads out of the image.
    """
    height, width = flow_px.shape[:2]
    there = (pixel_grid(height, width) - flow_px).astype(np.float32)
    x, y = there[..., 0], there[..., 1]
    forth = cv2.remap(
        np.asarray(forward_px, np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    gap = np.linalg.norm(flow_px - forth, axis=2)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.where(inside, gap, np.nan).astype(np.float32)
