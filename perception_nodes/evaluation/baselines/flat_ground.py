# SPDX-License-Identifier: Apache-2.0
"""Depth of a road as if it were flat and empty: the guess that mono depth must beat."""

from dataclasses import dataclass, field

import numpy as np

from perception_nodes.pipelines.images import require_range, require_size
from perception_nodes.pipelines.mono_depth import MonoDepthConfig
from perception_nodes.types import Camera, Depth, Image


@dataclass(frozen=True)
class FlatGroundConfig:
    """What is assumed.

    Attributes
    ----------
    camera_height_m : above the ground. horizon_m : depth of all above the horizon and farther
        ground: things beside the road stand about there (the best of 8 to 30 m on KITTI).
    relative_sigma : one sigma, constant part of the depth; a guess as well.
    depth : what counts as a depth.
    """

    camera_height_m: float = 1.65
    horizon_m: float = 10.0
    relative_sigma: float = 0.5
    depth: MonoDepthConfig = field(default_factory=MonoDepthConfig)

    def __post_init__(self) -> None:
        require_range('camera_height_m', self.camera_height_m, 1e-2, 1e3)
        require_range('horizon_m', self.horizon_m, 1e-1, 1e4)
        require_range('relative_sigma', self.relative_sigma, 1e-3, 1e3)


class FlatGroundPipeline:
    """Image in (nobody looks at it), Depth out: one value a row, level camera; no state."""

    runners = ()

    def __init__(self, config: FlatGroundConfig | None = None) -> None:
        self.config = config or FlatGroundConfig()

    def reset(self) -> None:
        """Forget nothing."""

    def __call__(self, image: Image, camera: Camera) -> Depth:
        """Guess: ``z = f_y h / (y - c_y)`` under the horizon, no more than horizon_m."""
        require_size(image, camera, 'the image')
        config, k = self.config, camera.rectified_k
        under = np.arange(image.height) - k[1, 2]
        z_m = k[1, 1] * config.camera_height_m / np.maximum(under, 1e-6)
        z_m = np.clip(z_m, config.depth.min_depth_m, config.horizon_m)
        depth_m = np.repeat(z_m.astype(np.float32)[:, None], image.width, axis=1)
        return Depth(
            stamp_ns=image.stamp_ns, frame_id=image.frame_id, camera=camera, depth_m=depth_m,
            sigma_m=depth_m * np.float32(config.relative_sigma),
        )
