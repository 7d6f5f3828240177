# SPDX-License-Identifier: Apache-2.0
"""The camera's place on the vehicle, through whatever tree /tf_static holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.transforms import base_from_frame
from perception_nodes.geometry import se3
from perception_nodes.messages.primitives import header

A = se3.exp(np.array([1.0, 2.0, 3.0, 0.1, 0.0, 0.2]))
B = se3.exp(np.array([0.0, -1.0, 0.5, 0.0, 0.3, 0.0]))
C = se3.exp(np.array([4.0, 0.0, 0.0, 0.0, 0.0, -0.7]))


@pytest.fixture
def tf_bag(write_bag: Callable[..., Path]) -> Callable[..., Any]:
    """Write a bag of static transforms (parent, child, parent_from_child)."""

    def write(*transforms: tuple[str, str, np.ndarray]) -> Any:
        factory = BagFactory()

        def transform(parent: str, child: str, matrix: np.ndarray) -> Any:
            x, y, z, w = (float(v) for v in se3.to_quaternion_xyzw(matrix))
            return factory.make(
                'geometry_msgs/msg/TransformStamped', header=header(factory, 0, parent),
                child_frame_id=child,
                transform=factory.make(
                    'geometry_msgs/msg/Transform',
                    translation=factory.make(
                        'geometry_msgs/msg/Vector3',
                        **dict(zip('xyz', (float(v) for v in matrix[:3, 3]), strict=True)),
                    ),
                    rotation=factory.make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
                ),
            )

        entries = [
            ('/tf_static', index, factory.make(
                'tf2_msgs/msg/TFMessage', transforms=[transform(*entry)]
            ))
            for index, entry in enumerate(transforms)
        ]
        return open_bag(write_bag(entries))

    return write


def test_down_a_chain(tf_bag: Any) -> None:
    with tf_bag(('base_link', 'mast', A), ('mast', 'optical', B)) as bag:
        np.testing.assert_allclose(base_from_frame(bag, 'optical'), A @ B, atol=1e-12)


def test_over_a_common_ancestor(tf_bag: Any) -> None:
    with tf_bag(('/body', '/base_link', A), ('/body', '/mast', B), ('mast', 'optical', C)) as bag:
        found = base_from_frame(bag, 'optical')
    np.testing.assert_allclose(found, se3.inverse(A) @ B @ C, atol=1e-12)


def test_frames_that_are_not_connected(tf_bag: Any) -> None:
    with tf_bag(('base_link', 'mast', A)) as bag:
        assert base_from_frame(bag, 'optical') is None


def test_a_transform_that_is_none_does_no_harm(tf_bag: Any, monkeypatch: Any) -> None:
    """The antenna's quaternion is 0 0 0 0: tf2 passes it over, and so does this."""
    to_quaternion = se3.to_quaternion_xyzw
    monkeypatch.setattr(
        se3, 'to_quaternion_xyzw', lambda m: np.zeros(4) if m is C else to_quaternion(m)
    )
    with tf_bag(('base_link', 'gps', C), ('base_link', 'optical', A)) as bag:
        np.testing.assert_allclose(base_from_frame(bag, 'optical'), A, atol=1e-12)
        assert bag.notes == (
            '/tf_static from base_link to gps is passed over: a quaternion has length 0, not 1',
        )


def test_a_bag_without_transforms(write_bag: Any, stereo: Any) -> None:
    with open_bag(write_bag(stereo(1))) as bag:
        assert base_from_frame(bag, 'left_optical') is None


def test_a_loop_leads_nowhere_and_is_told(tf_bag: Any) -> None:
    with tf_bag(('a', 'b', A), ('b', 'a', B)) as bag:
        assert base_from_frame(bag, 'a') is None
        assert 'loop' in bag.notes[0]


def test_a_frame_in_two_places_is_told(tf_bag: Any) -> None:
    twice = ('base_link', 'c', A)  # a latched message that was recorded again says nothing new
    with tf_bag(twice, twice, ('base_link', 'e', A), ('base_link', 'e', B)) as bag:
        np.testing.assert_allclose(base_from_frame(bag, 'e'), B, atol=1e-12)
        assert len(bag.notes) == 1 and 'places e in two ways' in bag.notes[0]


def test_a_frame_that_is_too_far_is_passed_over(tf_bag: Any) -> None:
    far = se3.exp(np.array([1e9, 0.0, 0.0, 0.0, 0.0, 0.0]))
    with tf_bag(('base_link', 'c', far)) as bag:
        assert base_from_frame(bag, 'c') is None
        assert 'is passed over: a pose is 1e+09 m away' in bag.notes[0]


def test_the_kitti_rig_looks_forward(shared: Path) -> None:
    with open_bag(shared / 'bags' / 'kitti_06_stereo') as bag:
        found = base_from_frame(bag, 'stereo_left_optical_frame')
    forward = [[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(found, forward, atol=1e-12)
