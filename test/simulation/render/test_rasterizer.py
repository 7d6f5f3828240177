# SPDX-License-Identifier: Apache-2.0
"""Quads that meet."""

import numpy as np

from perception_nodes.simulation.render.rasterizer import draw_quads
from perception_nodes.simulation.scene.quads import GROUND, Quad, Surface

K = np.array([[60.0, 0, 31.5], [0, 60, 15.5], [0, 0, 1]])
CAMERA_FROM_WORLD = np.array([[0, -1, 0, 0], [0, 0, -1, 1.0], [1, 0, 0, 0], [0, 0, 0, 1]])


def ground(left, right, near=1.0, far=60.0):
    """A grey piece of ground from left to right of the way, a little aslant."""
    surface = Surface(np.full((8, 8, 4), (70, 70, 70, 255), np.uint8))
    origin = np.array([near, left, 0])
    along = np.array([far - near, 1.7, 0])
    return Quad(origin, along, np.array([0, right - left, 0]), surface, 3, 0, order=GROUND)


def test_the_sky_does_not_shine_through_where_ground_meets_ground() -> None:
    quads = [ground(20.0, 0.3), ground(0.3, -20.0)]
    sky = np.full((32, 64, 3), 255, np.uint8)
    corners = np.stack([quad.corners for quad in quads])
    seen = draw_quads(quads, corners, CAMERA_FROM_WORLD, K, sky)
    below = seen.rgb[19:]
    assert set(np.unique(seen.quad[19:])) == {0, 1}
    assert below.max() <= 70
    assert (seen.rgb[:14] == 255).all()
