# SPDX-License-Identifier: Apache-2.0
"""The motion of layers is exact: warped by it, one image is the other where it is seen."""

import cv2
import numpy as np
import pytest

from perception_nodes.simulation.layers import random_motion_pair, random_stereo_pair
from perception_nodes.types import PerceptionError

HEIGHT, WIDTH = 128, 192


def away_from_edges(flow_px, occluded):
    """Pixels whose surroundings move alike and are seen: outlines are blended there."""
    jump = np.zeros(occluded.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(flow_px, axis=axis)).max(-1) > 0.3
        jump[: step.shape[0], : step.shape[1]] |= step
    near = cv2.dilate((jump | occluded).astype(np.uint8), np.ones((7, 7), np.uint8))
    return near == 0


def difference(older, newest, flow_px, kept):
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    warped = cv2.remap(older, x - flow_px[..., 0], y - flow_px[..., 1], cv2.INTER_LINEAR)
    return cv2.absdiff(warped, newest).astype(np.float32).mean(-1)[kept]


@pytest.mark.parametrize('seed', range(6))
def test_older_image_warped_by_the_flow_is_the_newest(seed):
    pair = random_motion_pair(np.random.default_rng(seed), HEIGHT, WIDTH, 20.0, photometric=0.0)
    kept = away_from_edges(pair.flow_px, pair.occluded)
    assert kept.mean() > 0.2
    smooth0, smooth1 = (cv2.GaussianBlur(i, (0, 0), 1.5) for i in (pair.image0, pair.image1))
    right = difference(smooth0, smooth1, pair.flow_px, kept)
    reversed_sign = difference(smooth0, smooth1, -pair.flow_px, kept)
    assert np.median(right) < 2.0
    assert right.mean() < 0.6 * reversed_sign.mean() or np.abs(pair.flow_px).max() < 1


@pytest.mark.parametrize('seed', range(6))
def test_right_image_warped_by_the_disparity_is_the_left(seed):
    pair = random_stereo_pair(np.random.default_rng(seed), HEIGHT, WIDTH, 30.0, photometric=0.0)
    flow = np.stack([pair.disparity_px, np.zeros_like(pair.disparity_px)], -1)
    kept = away_from_edges(flow, pair.occluded)
    smooth_left, smooth_right = (cv2.GaussianBlur(i, (0, 0), 1.5) for i in (pair.left, pair.right))
    assert np.median(difference(smooth_right, smooth_left, flow, kept)) < 2.0


def test_limits_hold():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        motion = random_motion_pair(rng, HEIGHT, WIDTH, 12.0)
        assert np.linalg.norm(motion.flow_px, axis=-1).max() <= 12.0
        stereo = random_stereo_pair(rng, HEIGHT, WIDTH, 24.0)
        assert stereo.disparity_px.min() >= 0
        assert stereo.disparity_px.max() <= 24.001


def test_what_leaves_the_image_is_occluded():
    pair = random_motion_pair(np.random.default_rng(3), HEIGHT, WIDTH, 40.0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    at = np.stack([x, y], -1) - pair.flow_px
    outside = ((at < -0.5) | (at > [WIDTH - 0.5, HEIGHT - 0.5])).any(-1)
    assert outside.any()
    assert pair.occluded[outside].all()
    assert not pair.occluded.all()


def test_same_seed_same_bytes():
    one, two, other = (
        random_motion_pair(np.random.default_rng(seed), HEIGHT, WIDTH) for seed in (5, 5, 6)
    )
    for name in ('image0', 'image1', 'flow_px', 'occluded'):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
        assert getattr(one, name).tobytes() != getattr(other, name).tobytes()


def test_textures_from_a_folder(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    image = cv2.resize(colours, (320, 240), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / 'one.png'), image)
    with_it = random_motion_pair(np.random.default_rng(2), HEIGHT, WIDTH, 20, tmp_path)
    without = random_motion_pair(np.random.default_rng(2), HEIGHT, WIDTH, 20)
    assert not np.array_equal(with_it.image1, without.image1)


def test_mistakes_are_told(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(PerceptionError, match='holds no image'):
        for _ in range(20):
            random_motion_pair(rng, HEIGHT, WIDTH, 20, tmp_path)
    (tmp_path / 'broken.png').write_bytes(b'not an image')
    with pytest.raises(PerceptionError, match='broken'):
        for _ in range(20):
            random_stereo_pair(rng, HEIGHT, WIDTH, 20, tmp_path)
    with pytest.raises(PerceptionError, match='too small'):
        random_motion_pair(rng, 8, 192)
    with pytest.raises(PerceptionError, match='positive'):
        random_stereo_pair(rng, HEIGHT, WIDTH, 0)
