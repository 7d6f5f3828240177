# SPDX-License-Identifier: Apache-2.0
"""The whole pipeline in a room whose images, depths and motions are exact."""

import itertools

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.visual_odometry import (
    VisualOdometryConfig,
    VisualOdometryPipeline,
)
from perception_nodes.types import (
    Camera,
    Depth,
    Image,
    PerceptionError,
    Segmentation,
    StereoRig,
)

STEP_NS = 100_000_000
BASE_FROM_CAMERA = VisualOdometryConfig().base_from_camera_matrix
# No calibration error here, so none is claimed.
EXACT = VisualOdometryConfig(drift_floor=0.0, turn_floor_rad_per_m=0.0)


def drive(count, step=(0.02, 0.0, 0.25, 0.0, 0.006, 0.002)):
    """Poses room_from_camera of a gently turning drive."""
    poses, motion = [np.eye(4)], se3.exp(np.array(step))
    for _ in range(count - 1):
        poses.append(poses[-1] @ motion)
    return poses


def truth_of(poses):
    """odom_from_base of each pose."""
    first = BASE_FROM_CAMERA @ se3.inverse(poses[0])
    return [first @ pose @ se3.inverse(BASE_FROM_CAMERA) for pose in poses]


def error_of(odometry, truth):
    """(x y z, rotation) in odom, as the covariance means it."""
    pose = odometry.odom_from_base
    turn = se3.so3_log(pose[:3, :3] @ truth[:3, :3].T)
    return np.concatenate([pose[:3, 3] - truth[:3, 3], turn])


def run(pipeline, room, poses, start=0):
    """Feed every pose's pair, ten a second."""
    return [
        pipeline(*room.pair(pose, (start + i) * STEP_NS), room.rig) for i, pose in enumerate(poses)
    ]


def test_motion_is_recovered_and_the_covariance_means_it(make_room):
    squared = []
    for seed in range(3):
        poses = drive(16)
        results = run(VisualOdometryPipeline(None, EXACT), make_room(seed), poses)
        truth = truth_of(poses)
        assert all(result.tracking for result in results)
        path = sum(np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in itertools.pairwise(truth))
        assert np.linalg.norm(error_of(results[-1], truth[-1])[:3]) < 0.005 * path
        for result, pose in zip(results[3:], truth[3:], strict=True):
            error = error_of(result, pose)
            squared.append(error @ np.linalg.solve(result.pose_covariance, error))
    # Six degrees of freedom: the mean of consistent errors is 6; half and five times are let be.
    assert 1.0 < np.mean(squared) < 20.0


def test_twist_is_the_motion_per_second_in_the_vehicle_frame(make_room):
    result = run(VisualOdometryPipeline(None, EXACT), make_room(0), drive(6))[-1]
    in_camera = np.array([0.02, 0.0, 0.25, 0.0, 0.006, 0.002]) / 0.1
    expected = se3.adjoint(BASE_FROM_CAMERA) @ in_camera
    deviation = np.sqrt(np.diag(result.twist_covariance))
    assert np.all(np.abs(result.twist - expected) < 5 * deviation + 1e-3)
    assert expected[0] == pytest.approx(2.5)  # forward is x of base_link


def test_black_images_are_lost_and_the_path_goes_on_where_it_is(make_room):
    room, poses = make_room(1), drive(14)
    pipeline = VisualOdometryPipeline(None, VisualOdometryConfig())
    truth = truth_of(poses)
    black = Image(np.zeros((200, 320), np.uint8))
    results = []
    for i, pose in enumerate(poses):
        left, right = room.pair(pose, i * STEP_NS)
        if i in (7, 8, 9):
            left = right = Image(black.data, i * STEP_NS)
        results.append(pipeline(left, right, room.rig))
    lost = results[7:10]
    assert [result.tracking for result in results] == [i not in (7, 8, 9) for i in range(14)]
    assert all('features' in result.reason for result in lost)
    growth = [np.trace(result.pose_covariance[:3, :3]) for result in results[6:10]]
    assert growth == sorted(growth) and growth[-1] > 4 * growth[0]
    assert np.linalg.norm(error_of(results[10], truth[10])[:3]) < 0.03
    assert np.trace(results[10].pose_covariance[:3, :3]) < growth[-1]


def test_standing_still_does_not_drift(make_room):
    room = make_room(2)
    results = run(VisualOdometryPipeline(None, EXACT), room, [np.eye(4)] * 12)
    assert np.abs(error_of(results[-1], np.eye(4))).max() < 2e-3
    assert np.abs(results[-1].twist).max() < 0.05


def test_what_is_gone_for_good_is_left_and_the_path_goes_on_with_a_large_covariance(make_room):
    room, elsewhere, poses = make_room(1), make_room(9), drive(12)
    pipeline = VisualOdometryPipeline(None, VisualOdometryConfig())
    before = run(pipeline, room, poses[:6])[-1]
    lost, *after = run(pipeline, elsewhere, poses[6:], start=6)
    assert before.tracking and not lost.tracking and all(result.tracking for result in after)
    truth = truth_of(poses)
    # The step into the other room was not seen, only continued; all steps since were.
    assert np.linalg.norm(error_of(after[-1], truth[-1])[:3]) < 0.1
    expected = se3.inverse(truth[7]) @ truth[-1]
    moved = se3.inverse(after[0].odom_from_base) @ after[-1].odom_from_base
    assert np.linalg.norm(moved[:3, 3] - expected[:3, 3]) < 0.01
    assert after[-1].pose_covariance[0, 0] > 100 * before.pose_covariance[0, 0]


def test_nothing_to_see_for_long_holds_the_pose(make_room):
    room, poses = make_room(1), drive(6)
    pipeline = VisualOdometryPipeline(None, VisualOdometryConfig(coast_s=0.2))
    run(pipeline, room, poses)
    black = np.zeros((200, 320), np.uint8)
    held = [
        pipeline(Image(black, i * STEP_NS), Image(black, i * STEP_NS), room.rig)
        for i in range(6, 16)
    ]
    assert not any(result.tracking for result in held)
    assert np.array_equal(held[4].odom_from_base, held[-1].odom_from_base)
    assert held[-1].pose_covariance[0, 0] > held[4].pose_covariance[0, 0]


def test_a_clock_that_goes_back_resets_and_repeats_the_same_numbers(make_room):
    room, poses = make_room(3), drive(5)
    pipeline = VisualOdometryPipeline(None, EXACT)
    pairs = [room.pair(pose, 0) for pose in poses]

    def play(start_ns):
        return [
            pipeline(
                Image(left.data, start_ns + i * STEP_NS),
                Image(right.data, start_ns + i * STEP_NS), room.rig,
            )
            for i, (left, right) in enumerate(pairs)
        ]

    first, second = play(10 * STEP_NS), play(0)
    for one, two in zip(first, second, strict=True):
        assert np.array_equal(one.odom_from_base, two.odom_from_base)
        assert np.array_equal(one.pose_covariance, two.pose_covariance)


def test_a_late_pair_is_dropped_and_the_pose_goes_on(make_room):
    room, poses = make_room(2), drive(8)
    pipeline = VisualOdometryPipeline(None, EXACT)
    pairs = [room.pair(pose, i * STEP_NS) for i, pose in enumerate(poses)]
    answers = {i: pipeline(*pairs[i], room.rig) for i in (0, 1, 2, 3, 5)}
    assert pipeline(*pairs[4], room.rig) is answers[5]
    assert pipeline.order.late == 1 and pipeline.order.jumps == 0
    for i in (6, 7):
        last = pipeline(*pairs[i], room.rig)
        assert last.tracking
    assert np.abs(error_of(last, truth_of(poses)[-1])).max() < 0.03


def test_a_reset_can_keep_the_pose_with_a_larger_covariance(make_room):
    room, poses = make_room(2), drive(6)
    pipeline = VisualOdometryPipeline(None, EXACT)
    before = run(pipeline, room, poses)[-1]
    pipeline.reset(keep_pose=True)
    after = pipeline(*room.pair(poses[-1], 0), room.rig)
    assert after.tracking
    assert np.allclose(after.odom_from_base, before.odom_from_base)
    growth = np.linalg.eigvalsh(after.pose_covariance - before.pose_covariance)
    assert growth.min() > 0.01 and after.twist_covariance[0, 0] > 1.0
    pipeline.reset()
    assert np.allclose(pipeline(*room.pair(poses[-1], 0), room.rig).odom_from_base, np.eye(4))


def test_lost_from_the_first_frame_on_the_covariance_is_large_and_grows(make_room):
    room = make_room(0)
    pipeline = VisualOdometryPipeline(None, EXACT)
    black = np.zeros((200, 320), np.uint8)
    lost = [
        pipeline(Image(black, i * STEP_NS), Image(black, i * STEP_NS), room.rig)
        for i in range(4)
    ]
    assert not any(result.tracking for result in lost)
    sigma_m = [np.sqrt(np.diag(result.pose_covariance)[:3].min()) for result in lost]
    assert sigma_m[0] > 0.1 and (np.diff(sigma_m) > 0.1).all()
    assert all(result.twist_covariance[0, 0] >= 25.0 for result in lost)
    # The first pose that is measured starts from there, and no filter gets a zero.
    found = pipeline(*room.pair(np.eye(4), 4 * STEP_NS), room.rig)
    assert found.tracking and found.pose_covariance[0, 0] > 1.0
    exact = VisualOdometryPipeline(None, EXACT)(*room.pair(np.eye(4), 0), room.rig)
    assert np.linalg.eigvalsh(exact.pose_covariance).min() > 0


def test_a_pose_that_is_held_has_no_velocity(make_room):
    room, poses = make_room(1), drive(6)
    pipeline = VisualOdometryPipeline(None, VisualOdometryConfig(coast_s=0.2))
    moving = run(pipeline, room, poses)[-1]
    black = np.zeros((200, 320), np.uint8)
    held = [
        pipeline(Image(black, i * STEP_NS), Image(black, i * STEP_NS), room.rig)
        for i in range(6, 16)
    ][-1]
    assert np.linalg.norm(moving.twist[:3]) > 0.5 and not held.twist.any()
    assert (np.diag(held.twist_covariance)[:3] >= moving.twist[:3] ** 2 + 25.0 - 1e-6).all()


def test_the_same_stamp_again_is_answered_as_before(make_room):
    room = make_room(0)
    pipeline = VisualOdometryPipeline(None, EXACT)
    pair = room.pair(np.eye(4), 5)
    assert pipeline(*pair, room.rig) is pipeline(*pair, room.rig)


def test_set_pose_moves_what_follows(make_room):
    room, poses = make_room(4), drive(8)
    pipeline = VisualOdometryPipeline(None, EXACT)
    run(pipeline, room, poses[:4])
    wanted = se3.exp(np.array([10.0, -5.0, 1.0, 0.1, 0.0, 1.2]))
    covariance = np.diag([0.04, 0.09, 0.01, 1e-4, 2e-4, 3e-4])
    pipeline.set_pose(wanted, covariance)
    results = run(pipeline, room, poses[4:], start=4)
    truth = truth_of(poses)
    expected = wanted @ se3.inverse(truth[3]) @ truth[-1]
    assert np.abs(error_of(results[-1], expected)).max() < 0.02
    assert np.sqrt(results[-1].pose_covariance[0, 0]) == pytest.approx(0.2, rel=0.3)
    with pytest.raises(PerceptionError, match='finite'):
        pipeline.set_pose(np.full((4, 4), np.nan))


def test_depth_is_taken_when_the_right_image_tells_nothing(make_room):
    room, poses = make_room(5), drive(6)
    pipeline = VisualOdometryPipeline(None, EXACT)
    truth = truth_of(poses)
    rng = np.random.default_rng(0)
    for i, pose in enumerate(poses):
        left, right = room.pair(pose, i * STEP_NS)
        depth_m = room.depth_m(pose).astype(np.float32)
        sigma_m = 0.01 * depth_m
        depth_m = depth_m + sigma_m * rng.normal(size=depth_m.shape).astype(np.float32)
        depth_m[:, :40] = np.nan
        depth = Depth(left.stamp_ns, '', room.rig.left, depth_m, sigma_m)
        black = Image(np.zeros_like(right.data), right.stamp_ns)
        result = pipeline(left, black, room.rig, depth)
        assert result.tracking
    assert np.linalg.norm(error_of(result, truth[-1])[:3]) < 0.02


def test_depth_full_of_nan_changes_nothing(make_room):
    poses = drive(4)
    nothing = np.full((200, 320), np.nan, np.float32)
    alone = run(VisualOdometryPipeline(None, EXACT), make_room(0), poses)[-1]
    room, pipeline = make_room(0), VisualOdometryPipeline(None, EXACT)
    for i, pose in enumerate(poses):
        left, right = room.pair(pose, i * STEP_NS)
        depth = Depth(left.stamp_ns, '', room.rig.left, nothing, nothing)
        result = pipeline(left, right, room.rig, depth)
    assert np.array_equal(alone.odom_from_base, result.odom_from_base)


def test_a_mask_keeps_features_off_the_sky(make_room):
    room = make_room(0)
    left, right = room.pair(np.eye(4), 0)
    labels = np.ones((200, 320), np.uint8)
    labels[:150] = 0
    sure = np.ones((200, 320), np.float32)
    mask = Segmentation(0, '', labels, sure, np.zeros_like(sure), None, ('sky', 'road'))
    whole = VisualOdometryPipeline(None, EXACT)(left, right, room.rig)
    masked = VisualOdometryPipeline(None, EXACT)(left, right, room.rig, segmentation=mask)
    assert masked.matches < 0.5 * whole.matches


def test_wrong_size_is_said_in_one_line(make_room):
    room = make_room(0)
    left, right = room.pair(np.eye(4), 0)
    small = Image(left.data[:100], 0)
    with pytest.raises(PerceptionError, match='320x100'):
        VisualOdometryPipeline(None, EXACT)(small, right, room.rig)


def test_another_rig_starts_new_features_and_keeps_the_pose(make_room):
    room, poses = make_room(0), drive(5)
    pipeline = VisualOdometryPipeline(None, EXACT)
    before = run(pipeline, room, poses)[-1]
    left, right = room.pair(poses[-1], 5 * STEP_NS)
    wide = Camera.pinhole(320, 200, 201.0, 201.0, 159.5, 99.5)
    right_camera = Camera.pinhole(320, 200, 201.0, 201.0, 159.5, 99.5, baseline_m=0.3)
    after = pipeline(left, right, StereoRig(wide, right_camera))
    assert after.tracking
    moved = after.odom_from_base[:3, 3] - before.odom_from_base[:3, 3]
    assert np.linalg.norm(moved) < 0.4  # one step of coasting


@pytest.mark.parametrize(
    ('field', 'value'),
    [('front_end', 'magic'), ('window', 1), ('min_inliers', 3), ('max_features', 0),
     ('mover_weight', 1.5), ('base_from_camera', ((1, 0), (0, 1)))],
)
def test_a_bad_parameter_is_refused(field, value):
    with pytest.raises(PerceptionError, match=field):
        VisualOdometryConfig(**{field: value})


def test_a_mask_keeps_a_large_mover_from_being_taken_for_the_world(make_room):
    """The right 60 % of the image show a wall that travels with the camera: a bus ahead."""
    room, poses = make_room(6), drive(6, (0.0, 0.0, 0.2, 0.0, 0.0, 0.0))
    left_of_bus = 128
    bus = room.pair(poses[0], 0)
    labels = np.zeros((200, 320), np.uint8)
    labels[:, left_of_bus - 20:] = 1
    sure = np.ones((200, 320), np.float32)
    pipeline = VisualOdometryPipeline(None, EXACT)
    for i, pose in enumerate(poses):
        pair = []
        for seen, stuck in zip(room.pair(pose, i * STEP_NS), bus, strict=True):
            data = seen.data.copy()
            data[:, left_of_bus:] = stuck.data[:, left_of_bus:]
            pair.append(Image(data, i * STEP_NS))
        mask = Segmentation(i * STEP_NS, '', labels, sure, 0 * sure, None, ('road', 'car'))
        result = pipeline(*pair, room.rig, segmentation=mask)
        assert result.tracking
    assert np.linalg.norm(error_of(result, truth_of(poses)[-1])[:3]) < 0.1


@pytest.mark.parametrize('gain', [0.8, 0.6])
def test_a_darker_right_camera_does_not_shorten_the_path(make_room, gain):
    room, poses = make_room(5), drive(10)
    pipeline = VisualOdometryPipeline(None, EXACT)
    for i, pose in enumerate(poses):
        left, right = room.pair(pose, i * STEP_NS)
        darker = Image((right.data * gain).astype(np.uint8), right.stamp_ns)
        last = pipeline(left, darker, room.rig)
        assert last.tracking
    assert np.linalg.norm(error_of(last, truth_of(poses)[-1])[:3]) < 0.03


def test_a_change_of_exposure_is_no_motion(make_room):
    room, pose = make_room(6), np.eye(4)
    pipeline = VisualOdometryPipeline(None, EXACT)
    for i, gain in enumerate((1.0, 0.7, 0.5, 0.9)):
        seen = [(image.data * gain).astype(np.uint8) for image in room.pair(pose, 0)]
        last = pipeline(*(Image(data, i * STEP_NS) for data in seen), room.rig)
    assert last.tracking and np.linalg.norm(last.odom_from_base[:3, 3]) < 0.005


def test_rounding_does_not_bend_the_pose_however_long_the_path(make_room):
    """Without care the error doubles with every keyframe: 40 of them make 1e-16 a millimetre."""
    room, poses = make_room(7), drive(12)
    pipeline = VisualOdometryPipeline(None, EXACT)
    last = run(pipeline, room, poses[:4])[-1]
    bent = last.odom_from_base.copy()
    bent[:3, :3] += 1e-5
    pipeline.set_pose(bent)
    for result in run(pipeline, room, poses[4:], start=4):
        rotation = result.odom_from_base[:3, :3]
        assert result.tracking
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-12


@pytest.mark.parametrize('columns', [150, 200])
def test_something_large_that_moves_in_front_does_not_move_a_standing_vehicle(make_room, columns):
    """Up to five eighths of the view belong to a wall that drives by at 4 m/s."""
    room, mover, poses = make_room(0), make_room(9), drive(14, (0.4, 0.0, 0.0, 0.0, 0.0, 0.0))
    pipeline = VisualOdometryPipeline(None, EXACT)
    for i in range(14):
        seen = [image.data.copy() for image in room.pair(np.eye(4), 0)]
        if i >= 4:
            for data, passing in zip(seen, mover.pair(poses[i - 4], 0), strict=True):
                data[:, :columns] = passing.data[:, :columns]
        last = pipeline(*(Image(data, i * STEP_NS) for data in seen), room.rig)
    assert last.tracking and np.linalg.norm(last.odom_from_base[:3, 3]) < 0.12  # of 3.6 m
