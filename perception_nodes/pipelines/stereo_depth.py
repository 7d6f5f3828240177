# SPDX-License-Identifier: Apache-2.0
"""Depth with its one-sigma from a rectified pair."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.geometry.stereo import depth_from_disparity
from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import require_range, require_size, rgb_batch
from perception_nodes.types import Depth, FloatArray, Image, PerceptionError, StereoRig


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
    left: Image, rig: StereoRig, disparity_px: FloatArray, sigma_px: FloatArray,
    config: StereoDepthConfig,
) -> Depth:
    """Turn disparity into what the package calls depth.

    A disparity whose partner would lie outside the right image cannot have been seen and is NaN
    like its depth. Depth is NaN too where it is out of range or too uncertain; the disparity
    stays, since it is what was measured (at infinity it is 0, and that is no error).

    Parameters
    ----------
    disparity_px, sigma_px : float32 [H, W] pixels at the size of the left image, NaN invalid.
    """
    column = np.arange(left.width, dtype=np.float32)
    seen = (disparity_px >= 0) & (disparity_px <= column)
    disparity_px = np.where(seen, disparity_px, np.float32(np.nan))
    sigma_px = np.where(seen, sigma_px, np.float32(np.nan))
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
        disparity_px=disparity_px.astype(np.float32),
        disparity_sigma_px=sigma_px.astype(np.float32),
        baseline_m=rig.baseline_m,
    )


class StereoDepthPipeline:
    """Rectified pair in, Depth on the grid of the left image out; no state."""

    def __init__(self, runner: Runner, config: StereoDepthConfig | None = None) -> None:
        self.runner = for_task(runner, 'stereo_depth')
        self.config = config or StereoDepthConfig()

    def reset(self) -> None:
        """Forget nothing: every pair stands for itself."""

    def __call__(self, left: Image, right: Image, rig: StereoRig) -> Depth:
        """Match one pair.

        Raises
        ------
        PerceptionError
            If the images are no pair of this rig.
        """
        require_pair(left, right, rig)
        out = self.runner.run({'left': rgb_batch(left), 'right': rgb_batch(right)})
        return stereo_depth(
            left, rig, np.asarray(out['disparity_px'][0], np.float32),
            np.asarray(out['sigma_px'][0], np.float32), self.config,
        )
