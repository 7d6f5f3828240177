# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses as ROS parameters, and the files in config/."""

import inspect
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from perception_nodes.geometry import se3
from perception_nodes.ros import parameters
from perception_nodes.ros.nodes.mono_depth_node import MonoDepthNode
from perception_nodes.ros.nodes.optical_flow_node import OpticalFlowNode
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.ros.nodes.place_recognition_node import PlaceRecognitionNode
from perception_nodes.ros.nodes.segmentation_node import SegmentationNode
from perception_nodes.ros.nodes.stereo_depth_node import StereoDepthNode
from perception_nodes.ros.nodes.visual_odometry_node import VisualOdometryNode
from perception_nodes.ros.parameter_files import parameter_files
from perception_nodes.types import PerceptionError

CONFIG = Path(__file__).resolve().parents[2] / 'config'
NODES = (
    SegmentationNode, StereoDepthNode, MonoDepthNode, OpticalFlowNode, VisualOdometryNode,
    PlaceRecognitionNode, PerceptionNode,
)
IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Everything:
    """One field of each kind.

    Attributes
    ----------
    count, size_px : how many,
        and how large.
    names : of classes.
    a_from_b : where b sits in a.
    """

    count: int = 3
    size_px: float = 1.5
    on: bool = False
    name: str = 'x'
    names: tuple[str, ...] = ('a', 'b')
    numbers: tuple[float, ...] = (1.0, 2.0)
    a_from_b: tuple[tuple[float, ...], ...] = IDENTITY
    maybe: tuple[float, ...] | None = None


def test_there_and_back():
    """Every kind of field survives, exactly (the transform up to rounding)."""
    config = Everything(count=4, on=True, names=(), maybe=(1.0, 2.0))
    values = {f.name: parameters.to_parameter(getattr(config, f.name)) for f in fields(config)}
    assert values['names'] == [''] and values['a_from_b'] == [0, 0, 0, 0, 0, 0, 1]
    assert parameters.from_values(Everything, values) == config


def test_transform_is_position_and_quaternion():
    """A quarter turn about z and a step along x."""
    half = np.sqrt(0.5)
    got = parameters.from_parameter('m', [1.0, 0.0, 0.0, 0.0, 0.0, half, half], IDENTITY)
    expected = se3.from_quaternion_xyzw(np.array([0, 0, half, half]), np.array([1.0, 0, 0]))
    np.testing.assert_allclose(np.array(got), expected, atol=1e-12)
    np.testing.assert_allclose(np.array(got) @ [1, 0, 0, 1], [1, 1, 0, 1], atol=1e-12)


@pytest.mark.parametrize(('value', 'default', 'told'), [
    ('many', 3, r"parameter p is 'many' \(str\); it takes int, as in 3"),
    (True, 3, r'parameter p is True \(bool\); it takes int'),
    (1, True, r'parameter p is 1 \(int\); it takes bool'),
    (1.5, 3, 'it takes int'),
    ('x', 1.0, 'it takes float'),
    ('ab', ('a',), "parameter p is 'ab'; it takes a list"),
    ([1], ('a',), 'a list of texts'),
    (['a'], (1.0,), 'a list of numbers'),
    ([0.0] * 6, IDENTITY, 'it takes 7 numbers x y z qx qy qz qw'),
    ([0.0, 0, 0, 0, 0, 0, 2.0], IDENTITY, 'quaternion of length 2; it must be 1'),
])
def test_wrong_types_are_named(value, default, told):
    """One line: which parameter, what it is, what it takes."""
    with pytest.raises(PerceptionError, match=told):
        parameters.from_parameter('p', value, default)


def test_integer_is_taken_for_a_float():
    """As people write it in YAML."""
    assert parameters.from_parameter('p', 80, 1.5) == 80.0


def test_descriptions_come_from_the_docstring():
    """Shared lines, continued lines, and how a transform is written."""
    told = parameters.field_descriptions(Everything())
    assert told['count'] == told['size_px'] == 'how many, and how large.'
    assert told['a_from_b'] == 'where b sits in a. Here as x y z qx qy qz qw.'


@pytest.mark.parametrize('node_class', NODES, ids=lambda c: c.__name__)
def test_every_parameter_is_in_its_file_with_its_default(bench, node_class):
    """A node that reads its file holds what a node without one holds; nothing is left out."""
    plain = bench.add(node_class, {'autostart': False})
    name = plain.get_name()
    file = CONFIG / f'{name}.yaml'
    told = bench.add(node_class, {'autostart': False}, arguments=['--params-file', str(file)])
    own = plain.tasks.parameter_names() | ({'tasks'} if name == 'perception_node' else set())
    for parameter in own:
        theirs, ours = told.get_parameter(parameter), plain.get_parameter(parameter)
        assert parameters.from_parameter(parameter, theirs.value, ours.value) == (
            parameters.from_parameter(parameter, ours.value, ours.value)
        ), parameter
        assert told.describe_parameter(parameter).description, parameter
    content = yaml.safe_load(file.read_text())[f'/**/{name}']['ros__parameters']
    assert set(_flat(content)) == own
    assert plain.tasks.read(plain) == told.tasks.read(told)


def test_unknown_task_is_refused(bench):
    """At the start, for nothing could be declared."""
    with pytest.raises(PerceptionError, match=r"not \['juggling'\]"):
        bench.add(PerceptionNode, {'tasks': ['juggling']})


def _flat(content, prefix=''):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield prefix + key


def test_files_are_up_to_date():
    """Defaults and descriptions are written once, in the dataclasses."""
    for name, text in parameter_files().items():
        assert (CONFIG / name).read_text() == text, (
            f'{name} is old: python -m perception_nodes.ros.parameter_files config'
        )


def test_descriptions_do_not_hang_on_indentation(monkeypatch):
    """Python 3.13 compiles docstrings without it, older ones with it."""
    told = parameters.field_descriptions(Everything())
    for text in (inspect.cleandoc(Everything.__doc__), f'    {Everything.__doc__}'):
        monkeypatch.setattr(Everything, '__doc__', text)
        assert parameters.field_descriptions(Everything()) == told
