# SPDX-License-Identifier: Apache-2.0
"""ORB odometry and VLAD of ORB on a textured wall whose motion is known."""

import cv2
import numpy as np
import pytest

from perception_nodes.evaluation.baselines import BASELINES
from perception_nodes.evaluation.baselines.vlad_orb import vlad
from perception_nodes.types import Camera, Image, StereoRig

WIDTH, HEIGHT, FOCAL_PX, BASELINE_M = 400, 240, 300.0, 0.4
CAMERA = Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 199.5, 119.5)
RIG = StereoRig(
    CAMERA, Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 199.5, 119.5, baseline_m=BASELINE_M)
)


def texture(seed):
    """Blobs of many sizes, uint8 [900, 900]."""
    rng, image = np.random.default_rng(seed), np.zeros((900, 900), np.float32)
    for cells, height in ((15, 40), (75, 50), (300, 40)):
        coarse = rng.normal(0, height, (cells, cells)).astype(np.float32)
        image += cv2.resize(coarse, (900, 900), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 120, 0, 255).astype(np.uint8)


def slanted_wall(picture, x_m, z_m, stamp_ns):
    """Image of the wall Z = 8 + 0.5 X (metres, 60 px each) from (x, 0, z), looking along Z."""
    # Wall point (X, Y, 8 + X / 2) is texture pixel 450 + 60 (X, Y).
    xy_from_texture = np.linalg.inv(np.array([[60, 0, 450], [0, 60, 450], [0, 0, 1.0]]))
    camera_from_xy = np.array([[1, 0, -x_m], [0, 1, 0], [0.5, 0, 8.0 - z_m]])
    data = cv2.warpPerspective(
        picture, CAMERA.k @ camera_from_xy @ xy_from_texture, (WIDTH, HEIGHT),
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return Image(data, stamp_ns)


@pytest.mark.parametrize('name', BASELINES['visual_odometry'])
def test_a_known_motion_is_found(name):
    pipeline, picture = BASELINES['visual_odometry'][name](), texture(0)
    for i in range(5):
        pair = [
            slanted_wall(picture, 0.1 * i + side, 0.2 * i, i * 10**8)
            for side in (0.0, BASELINE_M)
        ]
        odometry = pipeline(*pair, RIG)
        assert odometry.tracking
    # 0.8 m forward (x of base_link), 0.4 m to the right (-y).
    assert np.allclose(odometry.odom_from_base[:3, 3], [0.8, -0.4, 0.0], atol=0.15)
    assert np.allclose(odometry.twist[:2], [2.0, -1.0], atol=1.0)
    black = Image(np.zeros((HEIGHT, WIDTH), np.uint8), 5 * 10**8)
    lost = pipeline(black, black, RIG)
    assert not lost.tracking and lost.reason
    assert np.array_equal(lost.odom_from_base, odometry.odom_from_base)


@pytest.mark.parametrize('name', BASELINES['place_recognition'])
def test_a_place_is_told_from_others(name):
    pipeline = BASELINES['place_recognition'][name]()
    for seed in range(4):
        pipeline(slanted_wall(texture(seed), 0, 0, seed * 10 * 10**9), CAMERA)
    moved = slanted_wall(texture(1), 0.3, 0.2, 100 * 10**9)
    best = pipeline(moved, CAMERA).matches[0]
    assert best.place_id == 1 and best.verified and best.probability > 0.5


def test_vlad_has_unit_length_even_without_corners():
    bits = np.random.default_rng(0).integers(0, 256, (50, 32), dtype=np.uint8)
    for vector in (vlad(bits), vlad(None)):
        assert vector.shape == (32 * 256,)
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
