# SPDX-License-Identifier: Apache-2.0
"""What is said of a rendered pair is true: depth, disparity, flow, labels, poses fit together."""

import cv2
import numpy as np
import pytest

from perception_nodes.geometry.stereo import depth_from_disparity, points_from_depth
from perception_nodes.geometry.warp import flow_from_depth_and_motion
from perception_nodes.simulation.drive import DriveConfig, drive
from perception_nodes.simulation.render.stereo_view import render_pair
from perception_nodes.simulation.scene.street_world import CLASSES, StreetWorld, WorldConfig
from perception_nodes.types import PerceptionError

SKY, ROAD, POLE, SIGN = 0, 3, 2, 6


def grid(sample):
    height, width = sample.labels.shape
    return np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))


def inside_of_things(sample, hidden):
    """Pixels away from depth edges and from what is hidden: no outline is blended there."""
    inverse = sample.left_view.inverse_depth
    # On a plane inverse depth is affine in the pixel, so only edges have curvature.
    edge = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.02 * inverse + 5e-4
    return cv2.dilate((edge | hidden).astype(np.uint8), np.ones((3, 3))) == 0


def parts(world, sample):
    return np.array([quad.part for quad in world.quads] + [-1])[sample.left_view.quad]


def test_depth_and_disparity_are_one(samples):
    sample = samples[0]
    sky = sample.labels == SKY
    np.testing.assert_array_equal(np.isnan(sample.depth_m), sky)
    assert (sample.disparity_px[sky] == 0).all()
    depth, _ = depth_from_disparity(
        sample.disparity_px, np.ones_like(sample.disparity_px), sample.rig.focal_px,
        sample.rig.baseline_m,
    )
    np.testing.assert_allclose(depth[~sky], sample.depth_m[~sky], rtol=1e-5)


def test_every_pixel_lies_on_the_thing_it_shows(world, samples):
    sample = samples[1]
    points = points_from_depth(sample.depth_m, sample.rig.left.rectified_k).reshape(-1, 3)
    pose = sample.left_view.world_from_camera
    points = points @ pose[:3, :3].T + pose[:3, 3]
    corners = world.corners_at(sample.left_view.time_s)
    off_plane = []
    for index in np.unique(sample.left_view.quad):
        if index >= 0:
            ring = corners[index]
            normal = np.cross(ring[1] - ring[0], ring[3] - ring[0])
            normal /= np.linalg.norm(normal)
            here = sample.left_view.quad.ravel() == index
            off_plane.append(np.abs((points[here] - ring[0]) @ normal))
    off_plane = np.concatenate(off_plane)
    # Where a plane is seen edge on its depth is kept within the corners' range.
    assert (off_plane < 1e-3).mean() > 0.99


def test_road_is_flat_under_the_camera(samples):
    sample = samples[0]
    points = points_from_depth(sample.depth_m, sample.rig.left.rectified_k)
    pose = sample.left_view.world_from_camera
    height_m = points @ pose[2, :3] + pose[2, 3]
    road = sample.labels == ROAD
    assert road.mean() > 0.1
    np.testing.assert_allclose(height_m[road], 0.0, atol=2e-3)


def test_right_image_warped_by_disparity_is_the_left(samples):
    sample = samples[0]
    x, y = grid(sample)
    warped = cv2.remap(sample.right.data, x - sample.disparity_px, y, cv2.INTER_LINEAR)
    error = cv2.absdiff(warped, sample.left.data).astype(np.float32).mean(-1)
    seen = inside_of_things(sample, sample.occluded) & (sample.labels != SKY)
    unshifted = cv2.absdiff(sample.right.data, sample.left.data).astype(np.float32).mean(-1)
    assert seen.mean() > 0.3
    assert np.median(error[seen]) < 2.0
    assert error[seen].mean() < 0.4 * unshifted[seen].mean()


def test_occlusion_is_what_the_right_camera_does_not_see(world, rig, samples):
    sample = samples[0]
    aside = np.eye(4)
    aside[0, 3] = rig.baseline_m
    other = render_pair(
        world, rig, sample.left_view.world_from_camera @ aside, base_from_camera=np.eye(4),
        time_s=sample.left_view.time_s,
    )
    x, y = grid(sample)
    there = cv2.remap(other.left_view.inverse_depth, x - sample.disparity_px, y,
                      cv2.INTER_NEAREST, borderValue=1e3)
    before = there > 1.1 * sample.left_view.inverse_depth + 5e-3
    clear = inside_of_things(sample, np.zeros_like(sample.occluded))
    agree = (before == sample.occluded)[clear]
    assert agree.mean() > 0.98
    assert sample.occluded[clear].any()
    left_of_image = x - sample.disparity_px < -0.5
    assert sample.occluded[left_of_image].all()


def test_flow_of_what_stands_still_is_depth_and_motion(world, samples):
    older, newest = samples[0], samples[1]
    odom_from_camera = [s.odom_from_base @ s.base_from_camera for s in (older, newest)]
    expected = flow_from_depth_and_motion(
        newest.depth_m, newest.rig.left.rectified_k,
        np.linalg.inv(odom_from_camera[0]) @ odom_from_camera[1],
    )
    still = (parts(world, newest) < 0) & np.isfinite(expected).all(-1)
    assert still.mean() > 0.3
    np.testing.assert_allclose(newest.flow_px[still], expected[still], atol=5e-3)
    moving = parts(world, newest) >= 0
    assert np.abs(newest.flow_px - expected)[moving].max() > 0.5


def test_older_image_warped_by_flow_is_the_newest(world, samples):
    older, newest = samples[1], samples[2]
    x, y = grid(newest)
    flow = np.nan_to_num(newest.flow_px, nan=1e4)
    warped = cv2.remap(older.left.data, x - flow[..., 0], y - flow[..., 1], cv2.INTER_LINEAR)
    error = cv2.absdiff(warped, newest.left.data).astype(np.float32).mean(-1)
    seen = inside_of_things(newest, newest.flow_occluded) & (newest.labels != SKY)
    assert seen.mean() > 0.2
    assert np.median(error[seen]) < 3.0
    movers = seen & (parts(world, newest) >= 0)
    assert movers.sum() > 200
    still = cv2.absdiff(older.left.data, newest.left.data).astype(np.float32).mean(-1)
    assert error[movers].mean() < 0.5 * still[movers].mean()


def test_sky_moves_as_the_camera_turns(samples):
    older, newest = samples[0], samples[1]
    turn = np.linalg.inv(older.left_view.world_from_camera) @ newest.left_view.world_from_camera
    k = newest.rig.left.rectified_k
    x, y = grid(newest)
    at = np.stack([x, y, np.ones_like(x)], -1) @ (k @ turn[:3, :3] @ np.linalg.inv(k)).T
    expected = np.stack([x, y], -1) - at[..., :2] / at[..., 2:]
    sky = newest.labels == SKY
    assert sky.any()
    np.testing.assert_allclose(newest.flow_px[sky], expected[sky], atol=1e-2)


def test_labels_agree_with_instances(samples):
    for sample in samples:
        assert set(np.unique(sample.labels)) <= set(range(len(CLASSES)))
        things = np.unique(sample.instances)
        for instance in things[things > 0]:
            found = set(np.unique(sample.labels[sample.instances == instance]).tolist())
            assert len(found) == 1 or found == {POLE, SIGN}
        ground_and_sky = set(np.unique(sample.labels[sample.instances == 0]).tolist())
        assert ground_and_sky <= {SKY, ROAD, 4, 5}
    assert len(things) > 10


def test_drive_tells_time_and_place(samples):
    stamps = [sample.stamp_ns for sample in samples]
    assert np.diff(stamps).tolist() == [100_000_000, 100_000_000]
    assert samples[0].left.stamp_ns == samples[0].right.stamp_ns == stamps[0]
    np.testing.assert_allclose(samples[0].odom_from_base, np.eye(4), atol=1e-12)
    step = samples[1].odom_from_base[:3, 3]
    assert abs(np.linalg.norm(step) - 0.8) < 0.05
    assert samples[0].flow_px is None


def test_same_seed_same_bytes_and_another_seed_another_street(world, rig, samples):
    again = next(drive(14, 3, rig=rig, config=DriveConfig(flaws=False),
                       world=StreetWorld(14, world.config)))
    for name in ('depth_m', 'disparity_px', 'labels', 'instances', 'occluded'):
        assert getattr(again, name).tobytes() == getattr(samples[0], name).tobytes()
    assert again.left.data.tobytes() == samples[0].left.data.tobytes()
    assert again.right.data.tobytes() == samples[0].right.data.tobytes()
    other = next(drive(12, 1, rig=rig, config=DriveConfig(flaws=False),
                       world=StreetWorld(12, world.config)))
    assert other.left.data.tobytes() != samples[0].left.data.tobytes()


def test_noise_is_seeded(world, rig):
    one, two = (next(drive(11, 1, rig=rig, world=world)) for _ in range(2))
    assert one.left.data.tobytes() == two.left.data.tobytes()
    ideal = next(drive(11, 1, rig=rig, config=DriveConfig(flaws=False), world=world))
    assert one.left.data.tobytes() != ideal.left.data.tobytes()


def test_a_block_is_driven_around():
    path = StreetWorld(3, WorldConfig(closed=True, traffic=0.0, trees=0.0)).path
    for along in (0.0, 33.3, 140.0):
        np.testing.assert_allclose(
            path.world_from_street(along), path.world_from_street(along + path.length_m),
            atol=1e-9,
        )
    there = path.world_from_street(70.0, 1.5)[:2, 3]
    np.testing.assert_allclose(path.street_coordinates(there), [70.0, 1.5], atol=0.02)


@pytest.mark.parametrize('mistake', [
    {'length_m': 3.0}, {'weather': 'frogs'}, {'traffic': -1.0},
])  # fmt: skip
def test_a_street_that_cannot_be_is_refused(mistake):
    with pytest.raises(PerceptionError):
        WorldConfig(**mistake)


def test_an_empty_drive_is_refused(world, rig):
    with pytest.raises(PerceptionError, match='at least one frame'):
        next(drive(1, 0, rig=rig, world=world))
