# SPDX-License-Identifier: Apache-2.0
"""Config dataclasses as ROS parameters, and the files in config/."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from perception_nodes.pipelines.config_values import from_parameter
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros import parameters
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.ros.tools.parameter_files import parameter_files
from perception_nodes.types import PerceptionError

CONFIG = Path(__file__).resolve().parents[2] / 'config'
NODES = (*TASKS, PerceptionNode)


@dataclass(frozen=True)
class Described:
    """Fields whose descriptions are written in some way each.

    Attributes
    ----------
    count, size_px : how many,
        and how large.
    a_from_b : where b sits in a.
    """

    count: int = 3
    size_px: float = 1.5
    a_from_b: tuple[tuple[float, ...], ...] = tuple(map(tuple, np.eye(4).tolist()))


def test_descriptions_come_from_the_docstring():
    """Shared lines, continued lines, and how a transform is written."""
    told = parameters.field_descriptions(Described())
    assert told['count'] == told['size_px'] == 'how many, and how large.'
    assert told['a_from_b'] == 'where b sits in a. Here as x y z qx qy qz qw.'


@pytest.mark.parametrize('node_class', NODES, ids=str)
def test_every_parameter_is_in_its_file_with_its_default(bench, node_class):
    """A node that reads its file holds what a node without one holds; nothing is left out."""
    plain = bench.add(node_class, {'autostart': False})
    name = plain.get_name()
    file = CONFIG / f'{name}.yaml'
    told = bench.add(node_class, {'autostart': False}, arguments=['--params-file', str(file)])
    own = plain.tasks.parameter_names()
    if node_class is PerceptionNode:  # the tasks' own are in the tasks' own files
        own = {parameter for parameter in own if parameter.split('.')[0] not in TASKS}
    for parameter in own:
        theirs, ours = told.get_parameter(parameter), plain.get_parameter(parameter)
        assert from_parameter(parameter, theirs.value, ours.value) == (
            from_parameter(parameter, ours.value, ours.value)
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
            f'{name} is old: python -m perception_nodes.ros.tools.parameter_files config'
        )


def test_descriptions_do_not_hang_on_indentation(monkeypatch):
    """Python 3.13 compiles docstrings without it, older ones with it."""
    told = parameters.field_descriptions(Described())
    for text in (inspect.cleandoc(Described.__doc__), f'    {Described.__doc__}'):
        monkeypatch.setattr(Described, '__doc__', text)
        assert parameters.field_descriptions(Described()) == told
