# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits: transforms found, waited for, or given up."""

from types import SimpleNamespace

import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.perception import MonoFrame, Perception
from perception_nodes.pipelines.visual_odometry import (
    VisualOdometryConfig,
    VisualOdometryPipeline,
)
from perception_nodes.ros.factory import RclpyFactory
from perception_nodes.ros.tasks import mount, transforms
from perception_nodes.ros.tasks.loading import Loaded
from perception_nodes.ros.tasks.mount import MountConfig, MountInterface
from perception_nodes.ros.tasks.transforms import TransformLookup, tf_missing
from perception_nodes.types import Image, PerceptionError

BASE_FROM_CAMERA = se3.from_quaternion_xyzw(
    np.array([-0.5, 0.5, -0.5, 0.5]), np.array([1.2, 0.3, 1.6])
)


def transform(parent, child, parent_from_child):
    """One entry of a TFMessage, of the parts that are installed."""
    make = RclpyFactory().make
    x, y, z, w = se3.to_quaternion_xyzw(parent_from_child)
    translation = [float(value) for value in parent_from_child[:3, 3]]
    return make(
        'geometry_msgs/msg/TransformStamped',
        header=make('std_msgs/msg/Header', frame_id=parent), child_frame_id=child,
        transform=make(
            'geometry_msgs/msg/Transform',
            translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', translation,
                                                                     strict=True))),
            rotation=make('geometry_msgs/msg/Quaternion', x=float(x), y=float(y), z=float(z),
                          w=float(w)),
        ),
    )


@pytest.fixture
def lookup(monkeypatch):
    """A lookup without subscriptions, fed by hand."""
    monkeypatch.setattr(transforms, 'tf2_ros', None)
    monkeypatch.setattr(transforms, 'message_class', lambda name: None)
    return TransformLookup(None)


def test_static_transforms_are_chained(lookup):
    """Up one branch, down another; a loop or a gap is no connection."""
    rng = np.random.default_rng(5)
    base_from_mast, mast_from_camera, base_from_imu = (
        se3.exp(rng.normal(size=6)) for _ in range(3)
    )
    lookup._take(SimpleNamespace(transforms=[
        transform('base_link', 'mast', base_from_mast),
        transform('mast', 'camera', mast_from_camera),
        transform('base_link', 'imu', base_from_imu),
        transform('x', 'y', np.eye(4)), transform('y', 'x', np.eye(4)),
    ]))
    np.testing.assert_allclose(
        lookup.find('base_link', 'camera'), base_from_mast @ mast_from_camera, atol=1e-9
    )
    np.testing.assert_allclose(
        lookup.find('imu', 'camera'),
        np.linalg.inv(base_from_imu) @ base_from_mast @ mast_from_camera, atol=1e-9,
    )
    assert lookup.find('base_link', 'x') is None
    assert lookup.find('base_link', 'nowhere') is None


@pytest.fixture
def mounted(monkeypatch):
    """Make an interface whose transforms come from a dict, and the pipeline it mounts."""
    known = {}
    found = SimpleNamespace(find=lambda a, b: known.get((a, b)), close=lambda: None)
    monkeypatch.setattr(mount, 'tf_missing', lambda: '')
    monkeypatch.setattr(mount, 'TransformLookup', lambda node: found)

    def make(how):
        pipeline = VisualOdometryPipeline()
        loaded = Loaded(Perception({'visual_odometry': pipeline}), {})
        frames = {'visual_odometry': 'base_link'}
        return MountInterface(None, MountConfig(how), frames, loaded), pipeline

    return make, known


FRAME = MonoFrame(Image(np.zeros((2, 2), np.uint8), 0, 'camera'), None)


def test_frames_go_by_until_tf_is_there(mounted):
    """Then the pipeline knows where its camera sits, and nothing is waited for any more."""
    make, known = mounted
    interface, pipeline = make('tf')
    assert not interface.before(FRAME)
    assert interface.findings()[0].message == (
        'no TF from base_link to camera: frames go by until there is'
    )
    known['base_link', 'camera'] = BASE_FROM_CAMERA
    assert interface.before(FRAME)
    np.testing.assert_allclose(pipeline.config.base_from_camera, BASE_FROM_CAMERA)
    assert interface.findings() == []
    known.clear()
    assert interface.before(FRAME)


def test_auto_gives_up_and_says_so(mounted, monkeypatch):
    """After two seconds the parameter is taken."""
    make, _ = mounted
    interface, pipeline = make('auto')
    before = pipeline.config
    assert not interface.before(FRAME)
    monkeypatch.setattr(mount, 'TF_PATIENCE_S', 0.0)
    assert interface.before(FRAME)
    assert 'base_from_camera is the parameter' in interface.findings()[0].message
    assert pipeline.config == before


def test_parameter_asks_nobody(mounted):
    """No frame waits."""
    make, known = mounted
    known['base_link', 'camera'] = BASE_FROM_CAMERA
    interface, pipeline = make('parameter')
    assert interface.before(FRAME)
    assert not np.allclose(pipeline.config.base_from_camera, BASE_FROM_CAMERA)


def test_odometry_is_mounted_where_it_was_told(wall):
    """The camera looks along x of base_link or along y: the same motion has another direction."""
    sideways = se3.from_quaternion_xyzw(np.array([0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]),
                                        np.zeros(3))
    pipeline = VisualOdometryPipeline()
    pipeline.mount(sideways @ np.array(pipeline.config.base_from_camera))
    for pair in wall(2):
        odometry = pipeline(pair.left, pair.right, pair.rig)
    np.testing.assert_allclose(odometry.odom_from_base[:3, 3], [0.05, 0.0, 0.0], atol=0.01)


def test_settings_are_checked():
    """A word that is none, TF where there is none, a path of nothing."""
    with pytest.raises(PerceptionError, match="mount is 'glue'; it is one of auto, tf, parameter"):
        MountConfig('glue')
    if tf_missing():
        with pytest.raises(PerceptionError, match='mount tf needs TF, but'):
            MountConfig('tf')
    with pytest.raises(PerceptionError, match='path_length'):
        VisualOdometryConfig(path_length=0)
