# SPDX-License-Identifier: Apache-2.0
"""Cameras and pairs, found in bags of many habits."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras, list_cameras
from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import BagReader, open_bag
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import compressed_message, encode_image, image_message
from perception_nodes.types import Image, PerceptionError

Open = Callable[..., BagReader]


@pytest.fixture
def bag_of(write_bag: Any, make_camera: Any) -> Open:
    """Open a bag that holds one message of each topic: {name: encoding, or a Camera}."""

    def build(topics: dict[str, Any]) -> BagReader:
        factory, entries = BagFactory(), []
        image = Image(np.zeros((64, 96, 3), np.uint8))
        made = {
            'rgb8': lambda: image_message(image, factory),
            'jpeg': lambda: compressed_message(image, factory),
            '32FC1': lambda: encode_image(np.zeros((64, 96), np.float32), '32FC1', factory, 0, ''),
            '16UC1': lambda: encode_image(np.zeros((64, 96), np.uint16), '16UC1', factory, 0, ''),
            'left': lambda: info_from_camera(make_camera('left'), factory, 0),
            'right': lambda: info_from_camera(make_camera('right'), factory, 0),
            'text': lambda: factory.make('std_msgs/msg/String', data='x'),
        }
        for name, kind in topics.items():
            entries.append((name, 0, made[kind]() if isinstance(kind, str) else kind))
        return open_bag(write_bag(entries))

    return build


PAIRS = [
    ('/stereo/left/image_rect', '/stereo/right/image_rect', '{0}/camera_info'),
    ('/zed/left_camera/image_raw', '/zed/right_camera/image_raw', '{0}/camera_info'),
    ('/camera/infra1/image_rect_raw', '/camera/infra2/image_rect_raw', '{0}/camera_info'),
    ('/cam0/image_raw', '/cam1/image_raw', '{0}/camera_info'),
    ('/left/image_raw/compressed', '/right/image_raw/compressed', '{0}/camera_info'),
    ('/rig/front/image', '/rig/back/image', '{0}/camera_info'),
]


@pytest.mark.parametrize(('left', 'right', 'info'), PAIRS)
def test_pairs_of_many_habits(bag_of: Open, left: str, right: str, info: str) -> None:
    kind = 'jpeg' if left.endswith('compressed') else 'rgb8'
    spaces = [name.removesuffix('/compressed').rpartition('/')[0] for name in (left, right)]
    infos = [info.format(space) for space in spaces]
    with bag_of({right: kind, infos[1]: 'right', left: kind, infos[0]: 'left'}) as bag:
        found = find_cameras(bag)
    assert isinstance(found, StereoTopics)
    assert (found.left.image, found.left.info) == (left, infos[0])
    assert (found.right.image, found.right.info) == (right, infos[1])
    assert found.right.camera is not None
    assert found.right.camera.p[0, 3] == pytest.approx(-48.0)


def test_names_without_a_namespace_of_their_own(bag_of: Open) -> None:
    topics = {'/left_image': 'rgb8', '/left_camera_info': 'left', '/right_image': 'rgb8',
              '/right_camera_info': 'right'}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
    assert isinstance(found, StereoTopics)
    assert (found.left.info, found.right.info) == ('/left_camera_info', '/right_camera_info')


def test_the_best_topic_of_a_camera(bag_of: Open) -> None:
    topics = {f'/c/{name}': 'rgb8' for name in ('image_raw', 'image_rect', 'image_mono')}
    topics |= {'/c/image_rect/compressed': 'jpeg', '/c/camera_info': 'left'}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
    assert isinstance(found, CameraTopics)
    assert (found.image, found.is_rectified) == ('/c/image_rect', True)


def test_measurements_and_results_are_not_cameras(bag_of: Open) -> None:
    topics = {
        '/a_depth/image_rect': '32FC1', '/a_depth2/image_rect': '16UC1',
        '/segmentation_node/overlay': 'rgb8', '/ground_truth/labels': 'rgb8',
        '/ns/optical_flow_node/flow/color': 'rgb8', '/z/image': 'rgb8',
    }
    with bag_of(topics) as bag:
        assert [camera.image for camera in list_cameras(bag)] == ['/z/image']


def test_one_camera_with_calibration_goes_before_one_without(bag_of: Open) -> None:
    with bag_of({'/a/image': 'rgb8', '/b/image': 'rgb8', '/b/camera_info': 'left'}) as bag:
        found = find_cameras(bag)
    assert isinstance(found, CameraTopics)
    assert (found.image, found.info) == ('/b/image', '/b/camera_info')


def test_left_and_right_without_calibration_are_no_pair(bag_of: Open) -> None:
    with bag_of({'/left/image': 'rgb8', '/right/image': 'rgb8'}) as bag:
        found = find_cameras(bag)
    assert found == CameraTopics(
        '/left/image', no_pair='/left/image has no camera_info', beside=('/right/image',)
    )


def test_more_than_one_pair_is_the_users_choice(bag_of: Open) -> None:
    topics = {}
    for name in ('front', 'rear'):
        for side in ('left', 'right'):
            topics |= {f'/{name}/{side}/image': 'rgb8', f'/{name}/{side}/camera_info': side}
    with bag_of(topics) as bag:
        with pytest.raises(PerceptionError, match='more than one stereo pair'):
            find_cameras(bag)
        found = find_cameras(bag, left='/rear/left/image', right='/rear/right/image')
        assert isinstance(found, StereoTopics)
        assert found.left.info == '/rear/left/camera_info'
        alone = find_cameras(bag, image='/front/right/image')
        assert isinstance(alone, CameraTopics)


def test_mistakes_in_names(bag_of: Open) -> None:
    with bag_of({'/c/image': 'rgb8', '/c/camera_info': 'left'}) as bag:
        with pytest.raises(PerceptionError, match='has no topic /d/image; it holds /c/camera'):
            find_cameras(bag, image='/d/image')
        with pytest.raises(PerceptionError, match=r'is sensor_msgs/msg/CameraInfo, not an image'):
            find_cameras(bag, image='/c/camera_info')
        with pytest.raises(PerceptionError, match='name both'):
            find_cameras(bag, left='/c/image')


def test_a_bag_without_cameras(bag_of: Open) -> None:
    with bag_of({'/text': 'text'}) as bag, \
            pytest.raises(PerceptionError, match='has no camera topic; it holds /text'):
        find_cameras(bag)


@pytest.fixture
def info(make_camera: Any) -> Callable[..., Any]:
    """Make a CameraInfo of one side with other fields."""

    def make(side: str, **fields: Any) -> Any:
        message = info_from_camera(make_camera(side), BagFactory(), 0)
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    return make


def _p(p3: float) -> np.ndarray:
    return np.array([160.0, 0, 95.5, p3, 0, 160.0, 47.5, 0, 0, 0, 1, 0])


def test_an_uncalibrated_camera_has_images_and_a_reason(bag_of: Open, info: Any) -> None:
    with bag_of({'/c/image': 'rgb8', '/c/camera_info': info('left', k=np.zeros(9))}) as bag:
        found = find_cameras(bag)
    assert isinstance(found, CameraTopics)
    assert found.camera is None
    assert found.problem.startswith('/c/camera_info: uncalibrated camera: K[0]')


def test_a_bad_camera_does_no_harm_to_a_pair(bag_of: Open, info: Any) -> None:
    topics = {'/stereo/left/image': 'rgb8', '/stereo/left/camera_info': 'left',
              '/stereo/right/image': 'rgb8', '/stereo/right/camera_info': 'right',
              '/a/webcam/image': 'rgb8', '/a/webcam/camera_info': info('left', k=np.zeros(9)),
              '/b/left/image': 'rgb8', '/b/left/camera_info': info('left', k=np.full(9, np.nan)),
              '/b/right/image': 'rgb8', '/b/right/camera_info': 'right'}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
    assert isinstance(found, StereoTopics)
    assert found.left.image == '/stereo/left/image'


@pytest.mark.parametrize(
    ('left_p3', 'right_p3', 'reason'),
    [
        (0.0, 0.0, r'P\[3\] is 0 in both camera_info'),
        (-48.0, -48.0, r'P\[3\] of the left camera_info \(/front/left/camera_info\) is -48'),
        (-48.0, 0.0, 'are left and right swapped'),
    ],
)
def test_names_of_a_pair_without_a_baseline(
    bag_of: Open, info: Any, left_p3: float, right_p3: float, reason: str
) -> None:
    """Two cameras that look around are no pair; and the one at fault is named."""
    topics = {'/front/left/image': 'rgb8', '/front/right/image': 'rgb8',
              '/front/left/camera_info': info('left', p=_p(left_p3)),
              '/front/right/camera_info': info('right', p=_p(right_p3))}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
        assert isinstance(found, CameraTopics)
        assert (found.image, found.beside) == ('/front/left/image', ('/front/right/image',))
        assert re.search(reason, found.no_pair)
        with pytest.raises(PerceptionError, match=reason):
            find_cameras(bag, left='/front/left/image', right='/front/right/image')


def test_a_pair_may_be_measured_from_a_third_camera(bag_of: Open, info: Any) -> None:
    """KITTI's colour cameras: P[3] of both is relative to the grey left one."""
    topics = {'/left/image': 'rgb8', '/left/camera_info': info('left', p=_p(9.6)),
              '/right/image': 'rgb8', '/right/camera_info': info('right', p=_p(-38.4))}
    with bag_of(topics) as bag:
        assert isinstance(find_cameras(bag), StereoTopics)


@pytest.mark.parametrize('kind', ['rgb8', 'jpeg'])
def test_the_info_of_the_images_size_is_taken(bag_of: Open, info: Any, kind: str) -> None:
    """camera_info is of the raw, larger image; camera_info_rect of this one."""
    name = '/c/image_rect' + ('/compressed' if kind == 'jpeg' else '')
    topics = {name: kind, '/c/camera_info': info('left'),
              '/c/camera_info_rect': info('left', width=96, height=64)}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
    assert isinstance(found, CameraTopics)
    assert found.info == '/c/camera_info_rect'


def test_many_topics_are_a_short_list(bag_of: Open) -> None:
    with bag_of({f'/text_{n:03}': 'text' for n in range(100)}) as bag, \
            pytest.raises(PerceptionError, match=r'/text_007, \.\.\. \(100 in all\)'):
        find_cameras(bag)


def test_one_side_rectified_and_the_other_not(bag_of: Open) -> None:
    topics = {'/left/image_rect': 'rgb8', '/left/camera_info': 'left',
              '/right/image_raw': 'rgb8', '/right/camera_info': 'right'}
    with bag_of(topics) as bag:
        found = find_cameras(bag)
    assert isinstance(found, CameraTopics)
    assert 'one is rectified' in found.no_pair


def test_pairs_by_projection_need_one_size(bag_of: Open, make_camera: Any) -> None:
    other = replace(make_camera('right'), width=48)
    info = info_from_camera(other, BagFactory(), 0)
    topics = {'/a/image': 'rgb8', '/a/camera_info': 'left', '/b/image': 'rgb8',
              '/b/camera_info': info}
    with bag_of(topics) as bag:
        assert isinstance(find_cameras(bag), CameraTopics)
