# SPDX-License-Identifier: Apache-2.0
"""Services and set_pose, answered while the worker computes."""

import threading
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry, Path
from std_srvs.srv import Trigger

from perception_nodes.inference.models import list_models


@pytest.fixture
def odometry(bench):
    """An active visual odometry node, its poses, and its path."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    poses = bench.listen(Odometry, '/visual_odometry_node/odometry')
    paths = bench.listen(Path, '/visual_odometry_node/path')
    bench.connect_cameras()
    return node, poses, paths


def y_of(poses):
    """Sideways positions, metres."""
    return [pose.pose.pose.position.y for pose in poses]


def test_odometry_is_metric_and_reset_starts_anew(bench, odometry, wall):
    """Five centimetres to the right each time; after reset the next image is the origin."""
    _, poses, paths = odometry
    pairs = wall(6)
    for number, pair in enumerate(pairs[:3], 1):
        bench.send(pair)
        bench.until(lambda n=number: len(poses) == n)
    np.testing.assert_allclose(y_of(poses), [0.0, -0.05, -0.10], atol=0.005)
    assert poses[2].header.frame_id == 'odom' and poses[2].child_frame_id == 'base_link'
    assert poses[2].header.stamp.nanosec == 200_000_000
    response = bench.call(Trigger, '/visual_odometry_node/reset')
    assert response.success and 'origin' in response.message
    for number, pair in enumerate(pairs[3:5], 4):
        bench.send(pair)
        bench.until(lambda n=number: len(poses) == n)
    np.testing.assert_allclose(y_of(poses[3:]), [0.0, -0.05], atol=0.005)
    bench.until(lambda: len(paths) == 5)
    assert [len(path.poses) for path in paths] == [1, 2, 3, 1, 2]
    np.testing.assert_allclose(
        [p.pose.position.y for p in paths[2].poses], y_of(poses[:3]), rtol=0
    )


def test_set_pose_moves_the_path(bench, odometry, wall):
    """From there on, with that covariance; a pose of another frame is refused."""
    _, poses, _ = odometry
    pairs = wall(3)
    bench.send(pairs[0])
    bench.until(lambda: len(poses) == 1)
    publisher = bench.publisher(PoseWithCovarianceStamped, '/visual_odometry_node/set_pose')
    bench.until(lambda: publisher.get_subscription_count() == 1)
    message = PoseWithCovarianceStamped()
    message.header.frame_id = 'map'
    message.pose.pose.position.x = 99.0
    message.pose.pose.orientation.w = 1.0
    publisher.publish(message)
    message.header.frame_id = 'odom'
    message.pose.pose.position.x = 10.0
    message.pose.covariance = np.diag([0.25, 0.25, 0.25, 0.01, 0.01, 0.01]).reshape(36)
    publisher.publish(message)
    time.sleep(0.3)
    bench.send(pairs[1])
    bench.until(lambda: len(poses) == 2)
    position = poses[1].pose.pose.position
    assert position.x == pytest.approx(10.0, abs=0.02)
    assert position.y == pytest.approx(-0.05, abs=0.005)
    assert poses[1].pose.covariance[0] >= 0.25


def test_executor_answers_while_the_worker_computes(bench, odometry, wall):
    """A slow inference: parameters and diagnostics go on, a reset waits for its end."""
    from rcl_interfaces.srv import GetParameters

    node, poses, _ = odometry
    pipeline = node.configured.loaded.perception.pipelines['visual_odometry']
    advance, go, busy = pipeline._advance, threading.Event(), threading.Event()

    def slow(*arguments):
        busy.set()
        go.wait(20)
        return advance(*arguments)

    pipeline._advance = slow
    bench.send(wall(1)[0])
    assert busy.wait(10)
    answer = bench.call(
        GetParameters, '/visual_odometry_node/get_parameters',
        GetParameters.Request(names=['max_features']),
    )
    assert answer.values[0].integer_value == 400
    client = bench.driver.create_client(Trigger, '/visual_odometry_node/reset')
    assert client.wait_for_service(10)
    waiting = client.call_async(Trigger.Request())
    again = bench.call(
        GetParameters, '/visual_odometry_node/get_parameters',
        GetParameters.Request(names=['window']),
    )
    assert again.values[0].integer_value > 0
    assert not waiting.done() and poses == []
    go.set()
    bench.until(waiting.done)
    assert waiting.result().success
    bench.until(lambda: len(poses) == 1)


def test_map_is_saved_and_loaded(bench, wall, tmp_path):
    """Save, clear, load; without a file each says so and the node lives."""
    missing = {'place_recognition', 'features'} - set(list_models())
    if missing:
        pytest.skip(f'models are missing: {", ".join(sorted(missing))}')
    node = bench.add('place_recognition', {'mount': 'parameter', 'map_folder': str(tmp_path)})
    bench.active(node)
    name = '/place_recognition_node'
    refused = bench.call(Trigger, f'{name}/save_map')
    assert not refused.success and 'set the parameter map_path' in refused.message
    file = tmp_path / 'places.map'
    assert node.set_parameters([_parameter('map_path', str(file))])[0].successful
    assert not bench.call(Trigger, f'{name}/load_map').success
    bench.connect_cameras(mono=True)
    bench.send(wall(1)[0], mono=True)
    bench.until(lambda: node.statistics.counted('out') == 1)
    pipeline = node.configured.loaded.perception.pipelines['place_recognition']
    assert pipeline.places == 1
    assert bench.call(Trigger, f'{name}/save_map').success and file.is_file()
    assert bench.call(Trigger, f'{name}/clear_map').success and pipeline.places == 0
    assert bench.call(Trigger, f'{name}/load_map').success and pipeline.places == 1
    file.write_bytes(file.read_bytes()[:50])
    cut = bench.call(Trigger, f'{name}/load_map')
    assert not cut.success and str(file) in cut.message and pipeline.places == 1


def test_a_map_replaces_nothing_but_a_map_and_leaves_its_folder_never(bench, tmp_path):
    """map_path is set over the network: a calibration, a link's target, a device stay."""
    missing = {'place_recognition', 'features'} - set(list_models())
    if missing:
        pytest.skip(f'models are missing: {", ".join(sorted(missing))}')
    maps, other = tmp_path / 'maps', tmp_path / 'other'
    maps.mkdir()
    other.mkdir()
    precious = [maps / 'calibration.yaml', other / 'fleet.yaml']
    for file in precious:
        file.write_text('fx: 1\n')
    (maps / 'link.map').symlink_to(other / 'fleet.yaml')
    node = bench.add('place_recognition', {
        'mount': 'parameter', 'map_path': str(maps / 'places.map'),
    })
    bench.active(node)

    def save(path):
        assert node.set_parameters([_parameter('map_path', str(path))])[0].successful
        return bench.call(Trigger, '/place_recognition_node/save_map')

    for path, reason in {
        maps / 'calibration.yaml': 'not a place map', maps / 'link.map': 'is not below',
        other / 'new.map': 'is not below', '../other/new.map': 'is not below',
        '/dev/null': 'is not below', maps: 'folder', 'a\0b': 'no path',
    }.items():
        answer = save(path)
        assert not answer.success and reason in answer.message, (path, answer.message)
    assert [file.read_text() for file in precious] == ['fx: 1\n'] * 2
    assert (maps / 'link.map').is_symlink() and not (other / 'new.map').exists()
    assert save('deeper/places.map').success and (maps / 'deeper' / 'places.map').is_file()
    assert save(maps / 'places.map').success and save('places.map').success


def _parameter(name, value):
    from rclpy.parameter import Parameter

    return Parameter(name, value=value)
