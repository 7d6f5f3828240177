# SPDX-License-Identifier: Apache-2.0
"""Labels as people draw them: what one sees through a fence or a bare tree belongs to it.

A rendered image is labelled pixel by pixel; whoever labels a photograph draws around things. A
network that learns from both needs one convention for the sky between branches.
"""

import cv2
import numpy as np

from perception_nodes.simulation.scene.blocks import BICYCLIST, FENCE, TREE
from perception_nodes.types import Array, FloatArray

# Gaps up to so many pixels are closed, in views 512 px wide.
GAPS_PX = {TREE: 11, BICYCLIST: 7}
BEHIND, SAME_DEPTH = 0.98, 1.1


def as_drawn(labels: Array, disparity_px: FloatArray) -> Array:
    """Fill what is seen through trees, fences and the wheels of bicycles.

    Parameters
    ----------
    labels : uint8 [H, W] ids of CamVid, exact. disparity_px : float [H, W], 0 = sky: only what is
        behind a thing is seen through it.

    Returns
    -------
    uint8 [H, W].
    """
    near = disparity_px.astype(np.float32)
    filled = labels.copy()
    for label, gap in GAPS_PX.items():
        mask = (labels == label).astype(np.uint8)
        window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap))
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, window) > 0
        around = cv2.dilate(near * mask, window)
        filled[closed & (near < BEHIND * around)] = label
    filled[between(labels == FENCE, near)] = FENCE
    return filled


def between(mask: Array, near: FloatArray) -> Array:
    """Bool [H, W]: pixels between two of a mask in the same column, as far as each other.

    Parameters
    ----------
    mask : bool [H, W]. near : float [H, W], inverse depth; the pixels are behind the two.
    """
    rows = np.arange(len(mask))[:, None]
    above = np.maximum.accumulate(np.where(mask, rows, -1), axis=0)
    below = np.minimum.accumulate(np.where(mask, rows, len(mask))[::-1], axis=0)[::-1]
    inside = (above >= 0) & (below < len(mask)) & ~mask
    upper = np.take_along_axis(near, above.clip(0), 0)
    lower = np.take_along_axis(near, below.clip(max=len(mask) - 1), 0)
    alike = np.maximum(upper, lower) < SAME_DEPTH * np.minimum(upper, lower)
    return inside & alike & (near < BEHIND * np.minimum(upper, lower))
