# SPDX-License-Identifier: Apache-2.0
"""How steady depth is from frame to frame, when the camera's motion is known."""

import numpy as np

from perception_nodes.geometry.camera import project_points
from perception_nodes.geometry.se3 import inverse, transform_points
from perception_nodes.geometry.stereo import points_from_depth
from perception_nodes.geometry.warp import sample_bilinear
from perception_nodes.metrics.info import MetricInfo
from perception_nodes.types import FloatArray, PerceptionError

__all__ = ['DepthFlicker']

_LONGEST_STEP_NS = 250_000_000


class DepthFlicker:
    """Median relative change of a static point's depth between two frames in a row.

    Each pixel's point is taken into the camera of the frame before, and its depth there compared
    with what was estimated there. Depth that is wrong in the same way every time does not flicker;
    what moves, and what one of the two frames does not see, is outvoted by the median. Frames more
    than a quarter of a second apart do not follow each other.
    """

    infos = (
        MetricInfo(
            'flicker', 'flicker', 'Median relative change of the depth of a static point between '
            'two frames in a row, the true motion of the camera taken out; median over the '
            'pairs of frames. Of sequences with poses only.', better='low',
        ),
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._medians: list[float] = []
        self._last: tuple[int, FloatArray, FloatArray] | None = None

    def update(
        self, stamp_ns: int, depth_m: FloatArray, k: FloatArray, world_from_camera: FloatArray
    ) -> None:
        """Add the next frame.

        Parameters
        ----------
        stamp_ns : of the image.
        depth_m : [H, W] estimate, metres, NaN = none.
        k : [3, 3] intrinsics, pixels, the same for all frames.
        world_from_camera : [4, 4].
        """
        last, self._last = self._last, (stamp_ns, depth_m, world_from_camera)
        if last is None or not 0 < stamp_ns - last[0] <= _LONGEST_STEP_NS:
            return
        _, depth0_m, world_from_camera0 = last
        if depth0_m.shape != depth_m.shape:
            raise PerceptionError(
                f'depth {depth_m.shape} follows depth of another size, {depth0_m.shape}'
            )
        camera0_from_camera = inverse(world_from_camera0) @ world_from_camera
        points = points_from_depth(depth_m, k).astype(np.float64)
        expected = transform_points(camera0_from_camera, points)
        estimated = sample_bilinear(depth0_m, project_points(expected, k))
        with np.errstate(invalid='ignore', divide='ignore'):
            change = np.abs(np.log(estimated / expected[..., 2]))
        change = change[np.isfinite(change)]
        if change.size:
            self._medians.append(float(np.median(change)))

    def compute(self) -> dict[str, float]:
        """Return ``flicker``, a fraction of the depth; NaN without two frames in a row."""
        return {'flicker': float(np.median(self._medians)) if self._medians else float('nan')}
