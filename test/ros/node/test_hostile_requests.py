# SPDX-License-Identifier: Apache-2.0
"""Nothing that is asked of a node over the network ends it: parameters, transitions, messages."""

import math

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from perception_nodes.ros.nodes.perception_node import PerceptionNode

HOSTILE = (
    math.nan, math.inf, -math.inf, (1 << 63) - 1, -(1 << 63), -1, 0, '', 'x' * 100_000, '\x00',
    True, [math.inf, 1.0], [math.nan] * 7, [0.0] * 7, [(1 << 63) - 1] * 2, ['a'], [True, False],
    [b'a', b'b'], [1.5, 2.5], [1] * 1000,
)


def test_every_parameter_takes_or_refuses_every_value(bench):
    """No exception comes out, and a refusal says why in one line."""
    node = bench.add(PerceptionNode, {'autostart': False})
    refused = 0
    for name in sorted(node.tasks.parameter_names()):
        before = node.get_parameter(name)
        for value in HOSTILE:
            result, = node.set_parameters([Parameter(name, value=value)])
            refused += not result.successful
            assert result.successful or 0 < len(result.reason) < 500, (name, value)
            if result.successful:  # then configure can read it
                node.tasks.read(node)
        node.set_parameters([before])
    assert refused > len(node.tasks.parameter_names()) * len(HOSTILE) / 2


@pytest.fixture
def odometry(bench):
    """Give an active node."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    return node


@pytest.mark.parametrize('value', [[math.inf, 1.0], [math.nan, 1.0]])
def test_size_that_is_no_number_is_refused(bench, odometry, value):
    """It ended the process once."""
    request = SetParameters.Request(
        parameters=[Parameter('build_size', value=value).to_parameter_msg()]
    )
    result, = bench.call(SetParameters, '/visual_odometry_node/set_parameters', request).results
    assert not result.successful and 'build_size' in result.reason


def change(bench, **transition):
    """Ask for a transition."""
    request = ChangeState.Request(transition=Transition(**transition))
    return bench.call(ChangeState, '/visual_odometry_node/change_state', request).success


def test_transition_that_cannot_be_is_refused(bench, odometry, monkeypatch):
    """Twice the same, unknown ones; and where rclpy raises, as it does up to Jazzy."""
    assert not change(bench, id=Transition.TRANSITION_CONFIGURE)
    assert not change(bench, id=200)
    assert not change(bench, label='fly')

    def raises(transition):
        raise RuntimeError('Transition is not registered.')

    with monkeypatch.context() as older:
        older.setattr(odometry, '_LifecycleNodeMixin__change_state', raises)
        assert not change(bench, id=Transition.TRANSITION_CONFIGURE)
    assert odometry.stage == 'active'
    assert change(bench, id=Transition.TRANSITION_DEACTIVATE)
    assert odometry.stage == 'inactive'


def test_diagnostics_that_fail_do_not_end_the_node(bench, odometry, diagnosis, monkeypatch):
    """A middleware that cannot say who publishes."""
    from perception_nodes.ros.node import lifecycle_node

    calls = []

    def fails(*_):
        calls.append(1)
        raise RuntimeError('no graph')

    with monkeypatch.context() as broken:
        broken.setattr(lifecycle_node, 'report', fails)
        bench.until(lambda: len(calls) > 1)
    level, message, _ = diagnosis(odometry)
    assert level == 2 and "diagnostics: RuntimeError('no graph')" in message
