# SPDX-License-Identifier: Apache-2.0
"""
The path of a stereo bag, with the sigma that it gathers.

    python examples/odometry_of_a_bag.py BAG
"""

import sys
from pathlib import Path

import numpy as np

from perception_nodes.bags.cameras import find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import open_bag
from perception_nodes.errors import PerceptionError
from perception_nodes.pipelines.build import build_pipeline


def main(path: Path) -> None:
    """Print time, position and its one-sigma of every frame; no GPU, no ROS installation."""
    follow = build_pipeline('visual_odometry')
    bag = open_bag(path)
    for frame in BagFrames(bag, find_cameras(bag)):
        odometry = follow(frame.left, frame.right, frame.rig)
        x, y, z = odometry.odom_from_base[:3, 3]
        sigma_m = np.sqrt(np.trace(odometry.pose_covariance[:3, :3]))
        state = 'tracking' if odometry.tracking else f'lost: {odometry.reason}'
        print(
            f'{odometry.stamp_ns / 1e9:.3f} s  {x:8.2f} {y:8.2f} {z:8.2f} m  '
            f'+- {sigma_m:.3f} m  {state}'
        )


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]))
    except PerceptionError as error:
        sys.exit(f'error: {error}')
