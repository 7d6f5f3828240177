# SPDX-License-Identifier: Apache-2.0
"""Weights of features by the class of their pixel: movers low, sky 0."""

import numpy as np

from perception_nodes.types import FloatArray, Segmentation


def feature_weights(
    segmentation: Segmentation, points_px: FloatArray, width: int, height: int, *,
    mover_classes: tuple[str, ...], mover_weight: float, ignored_classes: tuple[str, ...],
) -> FloatArray:
    """Weights 0..1 [N] of points [N, 2] (px of an image ``width`` x ``height``).

    Confidence counts: a pixel that is a mover with probability p weighs ``1 - p (1 - weight)``.
    """
    rows, columns = segmentation.labels.shape
    points = np.nan_to_num(points_px)
    x = np.rint((points[:, 0] + 0.5) * columns / width - 0.5).astype(int)
    y = np.rint((points[:, 1] + 0.5) * rows / height - 0.5).astype(int)
    x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    label = segmentation.labels[y, x]
    sure = np.nan_to_num(segmentation.confidence[y, x].astype(np.float64))
    weights = np.ones(256)
    for number, name in enumerate(segmentation.classes[:255]):
        if name.lower() in mover_classes:
            weights[number] = mover_weight
        if name.lower() in ignored_classes:
            weights[number] = 0.0
    return np.asarray(1.0 - np.clip(sure, 0, 1) * (1.0 - weights[label]))
