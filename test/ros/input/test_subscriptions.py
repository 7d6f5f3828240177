# SPDX-License-Identifier: Apache-2.0
"""What a node does with message_filters and cv_bridge where they are installed, and without."""

import sys

import pytest
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from stereo_msgs.msg import DisparityImage

from perception_nodes.ros.nodes.task_node import TaskNode

SGBM = {'model': 'sgbm'}
DISPARITY = '/stereo_depth_node/disparity'


@pytest.fixture
def filters():
    """Skip where the library is not."""
    return pytest.importorskip('message_filters', reason='message_filters is not installed')


@pytest.mark.parametrize(
    ('parameters', 'library'),
    [({'sync': 'exact'}, 'message_filters'), ({'sync': 'approximate'}, 'message_filters'),
     ({'codec': 'cv_bridge'}, 'cv_bridge')],
)
def test_library_that_is_missing_fails_in_configure(
    bench, diagnosis, monkeypatch, parameters, library
):
    """With the reason, in the log and on /diagnostics; never by doing something else."""
    monkeypatch.setitem(sys.modules, library, None)
    node = bench.add('stereo_depth', {**SGBM, **parameters})
    bench.until(lambda: bool(node.failure))
    name, value = next(iter(parameters.items()))
    assert node.stage == 'unconfigured'
    expected = f'configure failed: {name}: {value} needs {library}, which is not installed: '
    assert node.failure.startswith(expected)
    level, told, _ = diagnosis(node)
    assert level == 2 and expected in told


@pytest.mark.parametrize('installed', [True, False])
def test_subscriptions_are_message_filters_where_installed(
    bench, monkeypatch, request, installed
):
    """With the node's QoS and its overrides, as without."""
    kind = None
    if installed:
        kind = request.getfixturevalue('filters').Subscriber
    else:
        monkeypatch.setitem(sys.modules, 'message_filters', None)
    override = 'qos_overrides./left/image_rect.subscription.'
    node = bench.add('stereo_depth', {
        **SGBM, f'{override}reliability': 'reliable', f'{override}depth': 9,
    })
    bench.active(node)
    by_topic = {one.topic_name: one for one in node.subscriptions}
    left, right = by_topic['/left/image_rect'], by_topic['/right/image_rect']
    assert left.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert left.qos_profile.depth == 9
    assert right.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    owner = getattr(left.callback, '__self__', None)
    assert isinstance(owner, kind) if installed else owner is None
    bench.executors[0].create_task(node.trigger_deactivate)
    bench.until(lambda: not any('image' in one.topic_name for one in node.subscriptions))


@pytest.mark.parametrize(('sync', 'gap_ns'), [('exact', 0), ('approximate', 3_000_000)])
def test_policy_pairs_what_comes_over_the_network(bench, filters, wall, sync, gap_ns):
    """The result is that of own."""
    stamps = []
    for chosen in ('own', sync):
        node = bench.add('stereo_depth', {**SGBM, 'sync': chosen},
                         arguments=['-r', f'__ns:=/{chosen}'])
        bench.active(node)
        received = bench.listen(DisparityImage, f'/{chosen}{DISPARITY}')
        cameras = _cameras(bench, f'/{chosen}')
        for pair in wall(3):
            sent = len(received)
            _send(bench, cameras, pair, gap_ns)
            bench.until(lambda n=sent, it=received: len(it) == n + 1)
        stamps.append([(m.header.stamp.nanosec, m.header.frame_id) for m in received])
    assert stamps[0] == stamps[1] and len(stamps[1]) == 3


@pytest.mark.parametrize(('sync', 'allowed'), [
    ('exact', 'sync exact allows none'), ('approximate', 'sync_tolerance_s allows 5.000 ms'),
])
def test_what_never_pairs_is_told_with_the_limit_of_the_policy(
    bench, diagnosis, filters, wall, sync, allowed
):
    """message_filters itself is silent."""
    node = bench.add('stereo_depth', {**SGBM, 'sync': sync, 'pair_capacity': 2})
    bench.active(node)
    cameras = _cameras(bench, '')
    pairs = wall(100)

    def told():
        _send(bench, cameras, pairs.pop(0), 7_000_000)
        return diagnosis(node)[1]

    expected = f'left and right never pair: their stamps differ by 7.000 ms at least, {allowed}'
    bench.until(lambda: expected in told(), 8.0)


def test_filters_of_ones_own_stand_in_front(bench, filters, wall):
    """One that lets every second image through; what arrives is counted before it."""
    class EverySecond(filters.SimpleFilter):
        def __init__(self, source):
            super().__init__()
            self.seen = 0
            source.registerCallback(self.take)

        def take(self, message):
            self.seen += 1
            if self.seen % 2:
                self.signalMessage(message)

    class Node(TaskNode):
        def __init__(self, **options):
            super().__init__('stereo_depth', **options)

        def filter_input(self, name, source):
            return EverySecond(source) if name == 'left/image_rect' else source

    node = bench.add(Node, SGBM)
    bench.active(node)
    received = bench.listen(DisparityImage, DISPARITY)
    cameras = _cameras(bench, '')
    for number, pair in enumerate(wall(5)):
        _send(bench, cameras, pair, 0)
        bench.until(lambda n=number: node.statistics.counted('received left/image_rect') == n + 1)
        bench.until(lambda n=number: len(received) == n // 2 + 1)
    assert node.statistics.counted('received left/image_rect') == 5


def test_node_decodes_with_cv_bridge(bench, wall):
    """The results are those of own."""
    pytest.importorskip('cv_bridge', reason='cv_bridge is not installed')
    results = []
    for codec in ('own', 'cv_bridge'):
        node = bench.add('stereo_depth', {**SGBM, 'codec': codec},
                         arguments=['-r', f'__ns:=/{codec}'])
        bench.active(node)
        received = bench.listen(DisparityImage, f'/{codec}{DISPARITY}')
        cameras = _cameras(bench, f'/{codec}')
        for pair in wall(2):
            sent = len(received)
            _send(bench, cameras, pair, 0)
            bench.until(lambda n=sent, it=received: len(it) == n + 1)
        results.append([bytes(one.image.data) for one in received])
    assert results[0] == results[1]


def _cameras(bench, namespace):
    """Publishers of a pair, each known to the node."""
    from sensor_msgs.msg import CameraInfo
    made = {
        name: bench.publisher(kind, f'{namespace}/{name}')
        for side in ('left', 'right')
        for name, kind in ((f'{side}/image_rect', Image), (f'{side}/camera_info', CameraInfo))
    }
    bench.until(lambda: all(one.get_subscription_count() for one in made.values()))
    bench.until(bench._all_fed)
    return made


def _send(bench, cameras, pair, gap_ns):
    """Publish a pair whose right image is younger."""
    from dataclasses import replace

    from perception_nodes.messages.camera import info_from_camera
    from perception_nodes.messages.image import image_message
    for side, image, camera in (
        ('left', pair.left, pair.rig.left),
        ('right', replace(pair.right, stamp_ns=pair.right.stamp_ns + gap_ns), pair.rig.right),
    ):
        cameras[f'{side}/camera_info'].publish(
            info_from_camera(camera, bench.factory, image.stamp_ns)
        )
        cameras[f'{side}/image_rect'].publish(image_message(image, bench.factory))
