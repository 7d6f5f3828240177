# SPDX-License-Identifier: Apache-2.0
"""Depth with its one-sigma from a rectified pair."""

from dataclasses import dataclass, replace

import numpy as np

from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.geometry.stereo_agreement import contradicted
from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import grey, require_range, require_size, rgb_batch
from perception_nodes.types import Array, Depth, FloatArray, Image, PerceptionError, StereoRig


@dataclass(frozen=True)
class StereoDepthConfig:
    """What counts as a depth.

    Attributes
    ----------
    min_depth_m, max_depth_m : depth outside is NaN, metres.
    max_relative_sigma : depth whose sigma is above this part of it is NaN; inf keeps all.
    """

    min_depth_m: float = 0.1
    max_depth_m: float = 80.0
    max_relative_sigma: float = 0.3

    def __post_init__(self) -> None:
        require_range('min_depth_m', self.min_depth_m, 0.0, 1e4)
        require_range('max_depth_m', self.max_depth_m, self.min_depth_m, 1e6)
        require_range('max_relative_sigma', self.max_relative_sigma, 1e-6, np.inf)


def require_pair(left: Image, right: Image, rig: StereoRig) -> None:
    """Refuse two images that cannot be a pair of this rig.

    Raises
    ------
    PerceptionError
        If a size differs from the other's or from its camera's.
    """
    if left.data.shape[:2] != right.data.shape[:2]:
        raise PerceptionError(
            f'left is {left.width}x{left.height} but right is {right.width}x{right.height}: '
            'a stereo pair has one size'
        )
    require_size(left, rig.left, 'the left image')
    require_size(right, rig.right, 'the right image')


def stereo_depth(
    left: Image, rig: StereoRig, shift_px: FloatArray, sigma_px: FloatArray,
    config: StereoDepthConfig,
) -> Depth:
    """Turn what a matcher found into what the package calls depth.

    A point whose partner would lie outside the right image cannot have been seen and is NaN
    like its depth. Depth is NaN too where it is out of range or too uncertain; the disparity
    stays, since it is what was measured (at infinity it is 0, and that is no error).

    Parameters
    ----------
    shift_px : float32 [H, W] pixels of the left image, NaN invalid: the point at column u is at
        ``u - shift_px`` in the right image. It differs from the disparity by ``rig.cx_gap_px``.
    sigma_px : float32 [H, W] pixels, one sigma of it.
    """
    there = np.arange(left.width, dtype=np.float32) - shift_px
    seen = (there >= 0) & (there <= left.width - 1)
    # Noise at infinity: a disparity under 0 by less than a pixel is as good as 0.
    disparity_px = shift_px - np.float32(rig.cx_gap_px)
    disparity_px = np.where((disparity_px < 0) & (disparity_px > -1), 0, disparity_px)
    seen &= disparity_px >= 0
    disparity_px = np.where(seen, disparity_px, np.nan).astype(np.float32)
    sigma_px = np.where(seen, sigma_px, np.nan).astype(np.float32)
    depth_m, sigma_m = depth_from_disparity(
        disparity_px, sigma_px, rig.focal_px, rig.baseline_m
    )
    good = (
        (depth_m >= config.min_depth_m) & (depth_m <= config.max_depth_m)
        & (sigma_m <= config.max_relative_sigma * depth_m)
    )
    return Depth(
        stamp_ns=left.stamp_ns, frame_id=left.frame_id, camera=rig.left,
        depth_m=np.where(good, depth_m, np.nan).astype(np.float32),
        sigma_m=np.where(good, sigma_m, np.nan).astype(np.float32),
        disparity_px=disparity_px, disparity_sigma_px=sigma_px, baseline_m=rig.baseline_m,
    )


class StereoDepthPipeline:
    """Rectified pair in, Depth on the grid of the left image out; no state.

    Attributes
    ----------
    nearest_m : nearest depth that model and rig of the last pair can see; None: not known (yet).
    """

    def __init__(self, runner: Runner, config: StereoDepthConfig | None = None) -> None:
        self.runner = for_task(runner, 'stereo_depth')
        self.runners = (runner,)
        self.config = config or StereoDepthConfig()
        self.nearest_m: float | None = None

    def reset(self) -> None:
        """Do nothing: pairs are independent."""

    def max_disparity_px(self, width: int, height: int) -> float | None:
        """Largest disparity that the model can find in images of a size; None: unknown."""
        card = self.runner.card
        disparity_px = card.calibration.get('max_disparity_px')
        fraction = card.calibration.get('max_disparity_fraction')
        if isinstance(fraction, int | float):
            return float(fraction) * width
        if not isinstance(disparity_px, int | float):
            return None
        scale = 1.0
        if card.network_pixels:
            scale = max(float(np.sqrt(width * height / card.network_pixels)), 1.0)
        return float(disparity_px) * scale

    def nearest_depth_m(self, rig: StereoRig) -> float | None:
        """Depth of the nearest surface that model and rig can see; None: unknown."""
        reach = self.max_disparity_px(rig.left.width, rig.left.height)
        return None if reach is None else rig.focal_px * rig.baseline_m / reach

    def __call__(self, left: Image, right: Image, rig: StereoRig) -> Depth:
        """Match one pair.

        Where the two images contradict the model, and beyond the model's range, its
        sigma is not believed: the range itself is taken, with which depth is NaN unless
        ``max_relative_sigma`` lets all through.

        Raises
        ------
        PerceptionError
            If the images are no pair of this rig.
        """
        require_pair(left, right, rig)
        self.nearest_m = self.nearest_depth_m(rig)
        # The model finds shifts from 0 on: whole pixels of the gap are taken off before.
        moved = int(np.floor(rig.cx_gap_px))
        partner = right if moved == 0 else replace(right, data=_moved(right.data, moved))
        out = self.runner.run({'left': rgb_batch(left), 'right': rgb_batch(partner)})
        found_px = np.asarray(out['disparity_px'][0], np.float32)
        sigma_px = np.asarray(out['sigma_px'][0], np.float32)
        reach_px = self.max_disparity_px(left.width, left.height)
        doubted = contradicted(grey(left), grey(partner), found_px)
        if reach_px is not None:
            doubted = doubted | (found_px > reach_px)
        unknown_px = np.float32(left.width / 4 if reach_px is None else reach_px)
        sigma_px = np.where(doubted, np.maximum(sigma_px, unknown_px), sigma_px)
        return stereo_depth(left, rig, found_px + np.float32(moved), sigma_px, self.config)


def _moved(data: Array, columns: int) -> Array:
    """Move an image to the right by whole columns (left if negative); its edge is repeated."""
    source = np.clip(np.arange(data.shape[1]) - columns, 0, data.shape[1] - 1)
    return np.ascontiguousarray(data[:, source])
