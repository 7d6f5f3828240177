# SPDX-License-Identifier: Apache-2.0
"""Depth with its one-sigma from one image."""

from dataclasses import dataclass

import numpy as np

from perception_nodes.inference.runner import Runner, for_task
from perception_nodes.pipelines.images import require_range, require_size, rgb_batch
from perception_nodes.types import Camera, Depth, Image


@dataclass(frozen=True)
class MonoDepthConfig:
    """What counts as a depth.

    Attributes
    ----------
    min_depth_m, max_depth_m : depth outside is NaN, metres.
    max_relative_sigma : depth whose sigma is above this part of it is NaN; inf keeps all.
    """

    min_depth_m: float = 0.1
    max_depth_m: float = 80.0
    max_relative_sigma: float = float('inf')

    def __post_init__(self) -> None:
        require_range('min_depth_m', self.min_depth_m, 0.0, 1e4)
        require_range('max_depth_m', self.max_depth_m, self.min_depth_m, 1e6)
        require_range('max_relative_sigma', self.max_relative_sigma, 1e-6, np.inf)


class MonoDepthPipeline:
    """Rectified image in, Depth of its size out; no state.

    The focal length is an input, so that a wide and a narrow camera that see the same
    image get different metres.
    """

    def __init__(self, runner: Runner, config: MonoDepthConfig | None = None) -> None:
        self.runner = for_task(runner, 'mono_depth')
        self.runners = (runner,)
        self.config = config or MonoDepthConfig()

    def reset(self) -> None:
        """Do nothing: images are independent."""

    def __call__(self, image: Image, camera: Camera) -> Depth:
        """Estimate the depth of one image.

        Raises
        ------
        PerceptionError
            If the image is not of its camera's size.
        """
        require_size(image, camera, 'the image')
        focal_px = np.array([camera.rectified_k[0, 0]], np.float32)
        out = self.runner.run({'image': rgb_batch(image), 'focal_px': focal_px})
        depth_m = np.asarray(out['depth_m'][0], np.float32)
        sigma_m = np.asarray(out['sigma_m'][0], np.float32)
        good = (
            (depth_m >= self.config.min_depth_m) & (depth_m <= self.config.max_depth_m)
            & (sigma_m <= self.config.max_relative_sigma * depth_m)
        )
        invalid = np.float32(np.nan)
        return Depth(
            stamp_ns=image.stamp_ns, frame_id=image.frame_id, camera=camera,
            depth_m=np.where(good, depth_m, invalid), sigma_m=np.where(good, sigma_m, invalid),
        )
