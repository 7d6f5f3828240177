# SPDX-License-Identifier: Apache-2.0
"""
Depth of a rectified pair in metres, with one sigma.

    python examples/depth_of_a_pair.py left.png right.png FOCAL_PX BASELINE_M depth.npz
"""

import sys
from pathlib import Path

import numpy as np

from perception_nodes.datasets.files import read_rgb
from perception_nodes.errors import PerceptionError
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.types import Camera, Image, StereoRig


def main(left: Image, right: Image, focal_px: float, baseline_m: float, out: Path) -> None:
    """Write depth_m and sigma_m, both float32 [H, W] with NaN where nothing is known."""
    size, centre = (left.width, left.height), ((left.width - 1) / 2, (left.height - 1) / 2)
    rig = StereoRig(
        Camera.pinhole(*size, focal_px, focal_px, *centre),
        Camera.pinhole(*size, focal_px, focal_px, *centre, baseline_m=baseline_m),
    )
    depth = build_pipeline('stereo_depth')(left, right, rig)
    known = np.isfinite(depth.depth_m)
    print(
        f'{known.mean():.0%} of the pixels, median {np.median(depth.depth_m[known]):.2f} m, '
        f'sigma {np.median(depth.sigma_m[known]):.2f} m'
    )
    np.savez_compressed(out, depth_m=depth.depth_m, sigma_m=depth.sigma_m)


if __name__ == '__main__':
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    try:
        pair = [Image(read_rgb(Path(path))) for path in sys.argv[1:3]]
        main(*pair, *map(float, sys.argv[3:5]), Path(sys.argv[5]))
    except (PerceptionError, ValueError) as error:
        sys.exit(f'error: {error}')
