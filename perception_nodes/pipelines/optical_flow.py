# SPDX-License-Identifier: Apache-2.0
"""Motion in the image since the previous one, with its one-sigma."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import require_range, rgb_batch
from perception_nodes.time_order import Arrival, TimeOrder
from perception_nodes.types import FloatArray, Flow, Image


@dataclass(frozen=True)
class OpticalFlowConfig:
    """What counts as motion.

    Attributes
    ----------
    max_sigma_px : flow with a larger sigma is NaN, pixels; inf keeps all.
    max_interval_s : a longer gap to the previous image starts anew, seconds.
    keep_leaving : whether flow that comes from outside the previous image is kept (it was
        continued, not seen there) or is NaN.
    """

    max_sigma_px: float = float('inf')
    max_interval_s: float = 2.0
    keep_leaving: bool = False

    def __post_init__(self) -> None:
        require_range('max_sigma_px', self.max_sigma_px, 1e-6, np.inf)
        require_range('max_interval_s', self.max_interval_s, 1e-3, np.inf)


class Previous:
    """The image before this one, if the two can be compared.

    Attributes
    ----------
    image : the newest image given, None at first.
    order : counts the images that came late.
    """

    def __init__(self, max_interval_s: float) -> None:
        self.max_interval_ns = max_interval_s * 1e9
        self.image: Image | None = None
        self.order = TimeOrder()

    def forget(self) -> None:
        """Treat the next image as the first."""
        self.image = None
        self.order.forget()

    def swap(self, image: Image) -> Image | None:
        """Keep this image and return the previous one.

        Returns
        -------
        None if there is none, if time did not advance or jumped, or if size or frame changed. An
        image that is late, or has the newest stamp again, changes nothing.
        """
        if self.order.take(image.stamp_ns) in (Arrival.LATE, Arrival.REPEATED):
            return None
        before, self.image = self.image, image
        if before is None or before.data.shape[:2] != image.data.shape[:2]:
            return None
        elapsed_ns = image.stamp_ns - before.stamp_ns
        if not 0 < elapsed_ns <= self.max_interval_ns or before.frame_id != image.frame_id:
            return None
        return before


def image_flow(
    before: Image, image: Image, flow_px: FloatArray, sigma_px: FloatArray,
    config: OpticalFlowConfig,
) -> Flow:
    """Turn displacements on the newest grid into what the package calls flow.

    Parameters
    ----------
    flow_px : float32 [H, W, 2] pixels. sigma_px : float32 [H, W] pixels.
    """
    good = np.isfinite(flow_px).all(axis=2) & (sigma_px <= config.max_sigma_px)
    if not config.keep_leaving:
        from_x = np.arange(image.width, dtype=np.float32) - flow_px[..., 0]
        from_y = np.arange(image.height, dtype=np.float32)[:, None] - flow_px[..., 1]
        good &= (from_x >= -0.5) & (from_x <= image.width - 0.5)
        good &= (from_y >= -0.5) & (from_y <= image.height - 0.5)
    invalid = np.float32(np.nan)
    return Flow(
        stamp_ns=image.stamp_ns, frame_id=image.frame_id, previous_stamp_ns=before.stamp_ns,
        flow_px=np.where(good[..., None], flow_px, invalid),
        sigma_px=np.where(good, sigma_px, invalid),
    )


class OpticalFlowPipeline:
    """Images in, one after the other; from the second on, Flow out. Keeps the previous image."""

    def __init__(self, runner: Runner, config: OpticalFlowConfig | None = None) -> None:
        self.runner = for_task(runner, 'optical_flow')
        self.runners = (runner,)
        self.config = config or OpticalFlowConfig()
        self.previous = Previous(self.config.max_interval_s)

    def reset(self) -> None:
        """Forget the previous image."""
        self.previous.forget()

    def __call__(self, image: Image) -> Flow | None:
        """Compare with the previous image.

        Returns
        -------
        None for the first image and after a reset: a clock that went back, a gap over
        ``max_interval_s``, another size and another camera frame are resets. None for a late
        image and for the newest stamp again, too; these are dropped and reset nothing.
        """
        before = self.previous.swap(image)
        if before is None:
            return None
        out = self.runner.run({'image0': rgb_batch(before), 'image1': rgb_batch(image)})
        return image_flow(
            before, image, np.asarray(out['flow_px'][0], np.float32),
            np.asarray(out['sigma_px'][0], np.float32), self.config,
        )
