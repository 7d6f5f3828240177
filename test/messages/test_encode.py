# SPDX-License-Identifier: Apache-2.0
"""Every topic of every node: made, sent through CDR, and read back to the same numbers."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.geometry import se3
from perception_nodes.messages.context import Context
from perception_nodes.messages.image import decode_array, decode_image, encode_image
from perception_nodes.messages.odometry import LOST_VARIANCE
from perception_nodes.messages.points import decode_cloud
from perception_nodes.messages.primitives import stamp_ns, transform_of_pose
from perception_nodes.messages.topics import full_name
from perception_nodes.messages.trajectory import Trajectory
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError

_spec = importlib.util.spec_from_file_location('results', Path(__file__).with_name('results.py'))
assert _spec and _spec.loader
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)

Wire = Callable[[Any], Any]
STAMP_NS = made.STAMP_NS


@pytest.fixture
def published(factory: BagFactory, wire: Wire) -> dict[str, dict[str, Any]]:
    """Give all topics of all tasks, as they come off the wire."""
    results = made.results()
    trajectory = Trajectory(factory)
    tracked = results['visual_odometry']
    trajectory.append(tracked)
    for index in range(3):
        trajectory.append(type(tracked)(**{
            **{entry.name: getattr(tracked, entry.name) for entry in fields(tracked)},
            'tracking': True, 'stamp_ns': STAMP_NS + index,
        }))
    context = Context(made.image(), (), trajectory)
    topics = {}
    for task, result in results.items():
        wanted = {topic.name for topic in TASKS[task].topics}
        messages = TASKS[task].implementation.encode(result, factory, wanted, context)
        messages |= TASKS[task].latched_messages(
            {'classes': ['road', 'sky']}, factory, STAMP_NS
        )
        topics[task] = {name: wire(message) for name, message in messages.items()}
    return topics


def test_all_topics_of_the_table_are_made_with_their_types(
    published: dict[str, dict[str, Any]],
) -> None:
    for name, messages in published.items():
        topics = TASKS[name].topics
        assert set(messages) == {topic.name for topic in topics}
        for topic in topics:
            assert messages[topic.name].__msgtype__ == topic.type


def test_outputs_carry_stamp_and_frame_of_the_image(
    published: dict[str, dict[str, Any]],
) -> None:
    frames = {'odometry': 'odom', 'path': 'odom', 'matches': 'map', 'pose': 'map',
              'loop_closure': 'place_7', 'label_info': ''}
    for topics in published.values():
        for name, message in topics.items():
            if hasattr(message, 'header'):
                assert stamp_ns(message.header.stamp) == STAMP_NS, name
                assert message.header.frame_id == frames.get(name, 'cam'), name


@pytest.mark.parametrize(
    'task', [task for task in made.results() if TASKS[task].implementation.decode is not None]
)
def test_results_come_back(published: dict[str, dict[str, Any]], task: str) -> None:
    result, back = made.results()[task], TASKS[task].implementation.decode(published[task])
    if task == 'visual_odometry':  # it is lost
        unknown = LOST_VARIANCE * np.eye(6)
        result = replace(
            result, pose_covariance=result.pose_covariance + unknown, twist=np.zeros(6),
            twist_covariance=result.twist_covariance + unknown,
        )
    lost = {
        'segmentation': {'classes'},
        'stereo_depth': {'disparity_sigma_px'},
    }.get(task, set())
    for entry in fields(result):
        expected, found = getattr(result, entry.name), getattr(back, entry.name)
        if entry.name in lost:
            continue
        if entry.name == 'camera':
            for part in fields(expected):
                np.testing.assert_array_equal(
                    getattr(found, part.name), getattr(expected, part.name)
                )
        elif entry.name == 'confidence':
            np.testing.assert_allclose(found, expected, atol=0.5 / 255.0 + 1e-6)
        elif entry.name == 'odom_from_base':
            np.testing.assert_allclose(found, expected, atol=1e-12)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=entry.name)


def test_lost_odometry_is_known_by_its_own_message(
    published: dict[str, dict[str, Any]]
) -> None:
    message = published['visual_odometry']['odometry']
    assert np.diag(np.reshape(message.pose.covariance, (6, 6))).min() >= 9999.0
    assert np.diag(np.reshape(message.twist.covariance, (6, 6))).min() >= 9999.0
    assert (message.twist.twist.linear.x, message.twist.twist.angular.z) == (0.0, 0.0)
    back = TASKS['visual_odometry'].implementation.decode({'odometry': message})
    assert not back.tracking and back.reason


@pytest.mark.parametrize(('task', 'topic', 'encoding', 'reason'), [
    ('segmentation', 'mask', 'rgb8', "mask is mono8 or 8UC1, not 'rgb8'"),
    ('segmentation', 'uncertainty', 'mono8', "uncertainty is 32FC1, not 'mono8'"),
    ('segmentation', 'epistemic', '32FC1', 'epistemic is 2x3 but what it describes is'),
    ('stereo_depth', 'depth/stddev', '32FC1', 'depth/stddev is 2x3 but what it describes is'),
    ('stereo_depth', 'depth/image_rect', '32FC1', 'depth/image_rect is 2x3 but depth/camera_info'),
    ('stereo_depth', 'depth/image_rect', 'rgb8', "32FC1 or 16UC1, not 'rgb8'"),
    ('optical_flow', 'flow', '32FC1', "flow is 32FC2, not '32FC1'"),
    ('optical_flow', 'flow/stddev', '32FC1', 'flow/stddev is 2x3 but what it describes is'),
])
def test_what_does_not_fit_is_refused(
    published: dict[str, dict[str, Any]], factory: BagFactory, task: str, topic: str,
    encoding: str, reason: str,
) -> None:
    """Each topic of another node in an encoding or a size that it cannot have."""
    pixels = np.zeros((3, 2), np.float32 if encoding == '32FC1' else np.uint8)
    if encoding == 'rgb8':
        pixels = np.zeros((3, 2, 3), np.uint8)
    messages = dict(published[task])
    messages[topic] = encode_image(pixels, encoding, factory, STAMP_NS, 'cam')
    with pytest.raises(PerceptionError, match=reason):
        TASKS[task].implementation.decode(messages)


def test_only_what_is_wanted_is_made(factory: BagFactory) -> None:
    for task, result in made.results().items():
        encode = TASKS[task].implementation.encode
        assert encode(result, factory, (), Context(made.image())) == {}
        for topic in TASKS[task].topics:
            only = encode(
                result, factory, {topic.name},
                Context(made.image(), (), Trajectory(factory)),
            )
            assert set(only) <= {topic.name}


def test_no_epistemic_part_without_sampling(factory: BagFactory) -> None:
    result = made.results()['segmentation']
    single = type(result)(STAMP_NS, 'cam', result.labels, result.confidence, result.entropy)
    wanted = {topic.name for topic in TASKS['segmentation'].topics}
    encode = TASKS['segmentation'].implementation.encode
    assert 'epistemic' not in encode(single, factory, wanted)


def test_disparity_image_says_how_to_get_depth(published: dict[str, dict[str, Any]]) -> None:
    message, depth = published['stereo_depth']['disparity'], made.results()['stereo_depth']
    disparity = decode_array(message.image)
    np.testing.assert_array_equal(disparity, depth.disparity_px)
    assert (message.f, message.t) == (10.0, 0.25)
    assert message.image.encoding == '32FC1'
    assert message.min_disparity == np.nanmin(disparity)
    assert message.max_disparity == np.nanmax(disparity)
    assert (message.valid_window.width, message.valid_window.height) == (8, 6)
    assert message.delta_d > 0.0
    assert message.header == message.image.header


def test_points_lift_the_depth(published: dict[str, dict[str, Any]]) -> None:
    depth, image = made.results()['stereo_depth'], made.image()
    for task in ('stereo_depth', 'mono_depth'):
        message = published[task]['points']
        cloud = decode_cloud(message)
        assert cloud.dtype.names == ('x', 'y', 'z', 'rgb', 'sigma')
        assert not message.is_dense
        assert cloud.shape == depth.depth_m.shape
        v, u = 4, 6
        z = depth.depth_m[v, u]
        assert cloud['z'][v, u] == z
        assert cloud['x'][v, u] == pytest.approx((u - 3.5) / 10.0 * z, rel=1e-6)
        assert cloud['y'][v, u] == pytest.approx((v - 2.5) / 11.0 * z, rel=1e-6)
        assert np.isnan(cloud['x'][0, 0])
        np.testing.assert_array_equal(cloud['sigma'], depth.sigma_m)
        red, green, blue = (int(c) for c in image.data[v, u])
        assert cloud['rgb'][v, u:u + 1].view(np.uint32)[0] == red << 16 | green << 8 | blue


def test_flow_interval_names_the_previous_image(published: dict[str, dict[str, Any]]) -> None:
    message = published['optical_flow']['flow/interval']
    assert stamp_ns(message.time_ref) == STAMP_NS - 10**8


def test_a_lost_pose_says_why(published: dict[str, dict[str, Any]]) -> None:
    status = published['visual_odometry']['status']
    assert (status.level, status.message) == (1, 'lost: too few features')
    values = {entry.key: entry.value for entry in status.values}
    assert (values['inliers'], values['matches'], values['tracking']) == ('12', '40', 'false')


def test_the_path_leaves_lost_poses_out(published: dict[str, dict[str, Any]]) -> None:
    poses = published['visual_odometry']['path'].poses
    assert [stamp_ns(pose.header.stamp) - STAMP_NS for pose in poses] == [0, 1, 2]


def test_candidates_stand_where_they_were_recorded(
    published: dict[str, dict[str, Any]],
) -> None:
    topics, result = published['place_recognition'], made.results()['place_recognition']
    cloud = decode_cloud(topics['matches'])[0]
    assert cloud.dtype.names == (
        'x', 'y', 'z', 'id', 'stamp', 'similarity', 'probability', 'inliers'
    )
    best = result.matches[1]
    np.testing.assert_allclose([cloud[n][1] for n in 'xyz'], best.map_from_place[:3, 3])
    assert (cloud['id'].tolist(), cloud['inliers'].tolist()) == ([3, 7], [0, 33])
    assert cloud['stamp'][1] == pytest.approx(best.place_stamp_ns / 1e9, abs=1e-6)
    map_from_base = best.map_from_place @ best.place_from_base
    np.testing.assert_allclose(
        transform_of_pose(topics['pose'].pose.pose), map_from_base, atol=1e-12
    )
    np.testing.assert_allclose(
        transform_of_pose(topics['loop_closure'].pose.pose), best.place_from_base, atol=1e-12
    )
    np.testing.assert_array_equal(
        topics['loop_closure'].pose.covariance.reshape(6, 6), best.covariance
    )
    turned = topics['pose'].pose.covariance.reshape(6, 6)
    np.testing.assert_allclose(np.trace(turned), np.trace(best.covariance))
    turn = best.map_from_place[:3, :3]
    np.testing.assert_allclose(turned[:3, :3], turn @ best.covariance[:3, :3] @ turn.T)


def test_an_unverified_place_closes_no_loop(factory: BagFactory) -> None:
    result = made.results()['place_recognition']
    unverified = type(result)(STAMP_NS, 'cam', result.matches[:1])
    wanted = {topic.name for topic in TASKS['place_recognition'].topics}
    encode = TASKS['place_recognition'].implementation.encode
    assert set(encode(unverified, factory, wanted)) == {'matches'}


def test_no_candidate_is_an_empty_cloud(factory: BagFactory, wire: Wire) -> None:
    empty = type(made.results()['place_recognition'])(STAMP_NS, 'cam', ())
    encode = TASKS['place_recognition'].implementation.encode
    message = encode(empty, factory, {'matches'})['matches']
    assert decode_cloud(wire(message)).shape == (1, 0)


def test_labels_have_names(published: dict[str, dict[str, Any]]) -> None:
    names = {c.class_id: c.class_name for c in published['segmentation']['label_info'].class_map}
    assert names == {0: 'road', 1: 'sky'}
    assert json.loads(published['segmentation']['model_info'].data)['classes'] == ['road', 'sky']


def test_without_vision_msgs_there_is_no_label_info(factory: BagFactory) -> None:
    class Bare(BagFactory):
        def has(self, type_name: str) -> bool:
            return not type_name.startswith('vision_msgs') and super().has(type_name)

    assert set(TASKS['segmentation'].latched_messages({}, Bare(), 0)) == {'model_info'}


def test_images_are_for_eyes(published: dict[str, dict[str, Any]]) -> None:
    for task, name in (('segmentation', 'overlay'), ('optical_flow', 'flow/color')):
        assert published[task][name].encoding == 'rgb8'
        assert decode_image(published[task][name]).data.shape == (6, 8, 3)
        assert TASKS[task].topic(name).on_demand


def test_names_of_topics() -> None:
    assert full_name('segmentation', 'mask') == '/segmentation_node/mask'
    with pytest.raises(KeyError):
        TASKS['segmentation'].topic('depth/image_rect')


def test_odometry_is_interpolated_between_those_around_a_stamp(
    published: dict[str, dict[str, Any]],
) -> None:
    implementation = TASKS['visual_odometry'].implementation
    before = replace(made.results()['visual_odometry'], stamp_ns=1000, odom_from_base=np.eye(4))
    after = replace(before, stamp_ns=1400, odom_from_base=se3.exp(np.full(6, 0.4)))
    between = implementation.between([before, after], 1100)
    assert between.stamp_ns == 1100 and between.tracking == before.tracking
    np.testing.assert_allclose(between.odom_from_base, se3.exp(np.full(6, 0.1)), atol=1e-12)
    assert implementation.between([after], 2000) is after
    assert implementation.between([before, after], 300_000_000) is None
    recorded = published['visual_odometry']
    alone = implementation.result_at([recorded], STAMP_NS)
    np.testing.assert_array_equal(alone.twist, np.zeros(6))  # it is lost


def test_places_carry_the_frames_of_their_config(factory: BagFactory) -> None:
    result = replace(made.results()['place_recognition'], map_frame='site', base_frame='robot')
    messages = TASKS['place_recognition'].implementation.encode(
        result, factory, {'matches', 'pose', 'loop_closure'}
    )
    assert messages['matches'].header.frame_id == messages['pose'].header.frame_id == 'site'
    assert messages['loop_closure'].child_frame_id == 'robot'


def test_a_path_starts_anew_when_time_jumps_back(factory: BagFactory) -> None:
    trajectory = Trajectory(factory)
    tracked = replace(made.results()['visual_odometry'], tracking=True)
    seconds = 1_000_000_000
    for stamp in (3 * seconds, 4 * seconds, 1 * seconds, 2 * seconds):
        trajectory.append(replace(tracked, stamp_ns=stamp))
    poses = trajectory.message(60, 'odom').poses
    assert [stamp_ns(p.header.stamp) for p in poses] == [1 * seconds, 2 * seconds]
