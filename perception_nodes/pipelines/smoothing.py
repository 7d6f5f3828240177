# SPDX-License-Identifier: Apache-2.0
"""Class probabilities that remember the frame before, moved along the flow."""

import cv2
import numpy as np

from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import Array, FloatArray, Flow, Image


class ProbabilitySmoother:
    """Exponential smoothing of class probabilities over time.

    Attributes
    ----------
    weight : part of the past, 0..1.
    probabilities : float32 [K, h, w] as smoothed last, None at first.
    """

    def __init__(self, weight: float) -> None:
        self.weight = np.float32(weight)
        self.probabilities: FloatArray | None = None
        self.image: tuple[int, str, tuple[int, ...]] = (0, '', ())
        self.order = TimeOrder()

    def reset(self) -> None:
        """Forget the past."""
        self.probabilities = None
        self.order.forget()

    def __call__(
        self, probabilities: FloatArray, image: Image, flow: Flow | None
    ) -> FloatArray:
        """Blend the past into one frame's probabilities.

        Where the flow is NaN (newly seen, occluded) the frame stands alone. Without flow the past
        is blended where it was. The past is forgotten when time does not advance, when the size
        or the camera changes, and when the flow starts from another frame than the last one. A
        late frame stands alone and changes nothing.

        Parameters
        ----------
        probabilities : float32 [K, h, w], sum 1 over K, on a coarser grid than the image.
        flow : float32 [H, W, 2] on the image's own grid.

        Returns
        -------
        float32 [K, h, w], sum 1 over K.
        """
        if self.order.take(image.stamp_ns) is Arrival.LATE:
            return np.asarray(probabilities, np.float32)
        stamp_ns, frame_id, shape = self.image
        self.image = (image.stamp_ns, image.frame_id, image.data.shape[:2])
        past = self.probabilities
        comparable = (
            past is not None and past.shape == probabilities.shape
            and stamp_ns < image.stamp_ns and (frame_id, shape) == self.image[1:]
            and (flow is None or flow.previous_stamp_ns == stamp_ns)
        )
        if past is None or not comparable:
            self.probabilities = np.asarray(probabilities, np.float32)
            return self.probabilities
        if flow is None:
            moved, weight = past, self.weight
        else:
            moved, known = _move(past, flow.flow_px)
            weight = self.weight * known.astype(np.float32)
        self.probabilities = probabilities + weight * (moved - probabilities)
        return self.probabilities


def _move(past: FloatArray, flow_px: FloatArray) -> tuple[FloatArray, Array]:
    """Sample the past where each coarse cell came from; False where that is not known."""
    height, width = past.shape[1:]
    scale = np.array([width / flow_px.shape[1], height / flow_px.shape[0]], np.float32)
    # Nearest, not linear: one NaN must not spread over a cell's neighbours.
    coarse = cv2.resize(flow_px, (width, height), interpolation=cv2.INTER_NEAREST) * scale
    known = np.isfinite(coarse).all(axis=2)
    column, row = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    from_x = np.where(known, column - coarse[..., 0], 0)
    from_y = np.where(known, row - coarse[..., 1], 0)
    known &= (from_x >= -0.5) & (from_x <= width - 0.5)
    known &= (from_y >= -0.5) & (from_y <= height - 0.5)
    moved: FloatArray = np.stack([
        cv2.remap(plane, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in past
    ])
    return moved, known
