# SPDX-License-Identifier: Apache-2.0
"""States of a node: what is there in each, and what failing looks like."""

import json
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import String

from perception_nodes.inference import model_path
from perception_nodes.ros.node.run import run
from perception_nodes.ros.nodes.task_node import TaskNode
from perception_nodes.ros.processes import NodeProcess
from perception_nodes.types import PerceptionError


def change(bench, name: str, transition: int) -> bool:
    """Ask for a transition as a lifecycle manager does."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return bench.call(ChangeState, f'/{name}/change_state', request).success


def state(bench, name: str) -> str:
    """Ask for the state."""
    return bench.call(GetState, f'/{name}/get_state').current_state.label


def test_configure_fails_with_the_reason(bench, diagnosis, tmp_path):
    """A model that is cut in half: FAILURE, unconfigured, told; and good again with a good one."""
    whole = model_path('segmentation')
    cut = tmp_path / 'segmentation.onnx'
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    shutil.copy(whole.with_suffix('.json'), tmp_path)
    node = bench.add('segmentation', {'model': str(cut), 'autostart': False})
    assert not change(bench, 'segmentation_node', Transition.TRANSITION_CONFIGURE)
    assert state(bench, 'segmentation_node') == 'unconfigured'
    level, message, _ = diagnosis(node)
    assert level == 2
    assert message.startswith('configure failed: ') and str(cut) in message
    assert bench.driver.count_publishers('/segmentation_node/mask') == 0
    cut.write_bytes(whole.read_bytes())
    assert change(bench, 'segmentation_node', Transition.TRANSITION_CONFIGURE)


def test_missing_model_does_not_end_the_node(bench, diagnosis):
    """Autostart that fails leaves a node that tells why and can be configured again."""
    node = bench.add('segmentation', {'model': '/no/such/model.onnx'})
    level, message, values = diagnosis(node)
    assert level == 2
    assert 'model file /no/such/model.onnx is missing' in message
    assert values['lifecycle'] == 'unconfigured'


def test_cycle_opens_and_closes_everything(bench):
    """Subscriptions exist only while active, publishers only while configured; twice."""
    threads = threading.active_count()
    bench.add('visual_odometry', {'autostart': False, 'mount': 'parameter'})
    name, topic = 'visual_odometry_node', '/visual_odometry_node/odometry'
    steps = [
        (Transition.TRANSITION_CONFIGURE, 'inactive', 0, 1),
        (Transition.TRANSITION_ACTIVATE, 'active', 1, 1),
        (Transition.TRANSITION_DEACTIVATE, 'inactive', 0, 1),
        (Transition.TRANSITION_CLEANUP, 'unconfigured', 0, 0),
    ]
    for transition, label, subscribers, publishers in steps * 2:
        assert change(bench, name, transition)
        assert state(bench, name) == label
        bench.until(lambda n=subscribers: bench.driver.count_subscribers('/left/image_rect') == n)
        bench.until(lambda n=publishers: bench.driver.count_publishers(topic) == n)
    assert threading.active_count() == threads
    assert change(bench, name, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert state(bench, name) == 'finalized'


def test_active_again_works_again(bench, wall):
    """After deactivate and activate, images are answered as before."""
    node = bench.add('visual_odometry', {'mount': 'parameter'})
    bench.active(node)
    odometry = bench.listen(Odometry, '/visual_odometry_node/odometry')
    info = bench.listen(String, '/visual_odometry_node/model_info', latched=True)
    bench.connect_cameras()
    first, second = wall(2)
    bench.send(first)
    bench.until(lambda: len(odometry) == 1)
    assert change(bench, 'visual_odometry_node', Transition.TRANSITION_DEACTIVATE)
    assert change(bench, 'visual_odometry_node', Transition.TRANSITION_ACTIVATE)
    bench.connect_cameras()
    bench.send(second)
    bench.until(lambda: len(odometry) == 2)
    assert odometry[1].header.stamp.nanosec == 100_000_000
    assert '"task": "visual_odometry"' in info[0].data


def test_wrong_type_of_a_parameter_is_one_line(bench):
    """The constructor says which parameter, what it is and what it takes."""
    with pytest.raises(PerceptionError, match=r"parameter mc_samples is 'many' \(str\); it takes"):
        bench.add('segmentation', {'mc_samples': 'many'})


def test_refused_value_fails_configure(bench, diagnosis):
    """What the pipeline's config refuses, configure refuses, with its words."""
    node = bench.add('segmentation', {'min_confidence': 1.5})
    bench.until(lambda: bool(node.failure))
    assert 'min_confidence is 1.5; it must lie between 0 and 1' in diagnosis(node)[1]


def test_parameters_change_before_configure_only(bench):
    """`ros2 param set` is checked, and refused once the value would have no effect."""
    def put(name: str, value: object):
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return bench.call(
            SetParameters, '/visual_odometry_node/set_parameters', request
        ).results[0]

    bench.add('visual_odometry', {'autostart': False, 'mount': 'parameter'})
    refused = put('window', 1)
    assert not refused.successful and 'at least 2 keyframes' in refused.reason
    assert put('window', 5).successful
    assert change(bench, 'visual_odometry_node', Transition.TRANSITION_CONFIGURE)
    late = put('window', 6)
    assert not late.successful and 'read in configure' in late.reason


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_process_ends_cleanly(number, tmp_path):
    """Ctrl-C and a supervisor's TERM end a node with status 0 and no traceback."""
    log = tmp_path / 'log'
    with NodeProcess('visual_odometry_node', parameters={'mount': 'parameter'}, log=log) as node:
        end = time.monotonic() + 30
        while ']: active: visual_odometry' not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        node.process.send_signal(number)
        assert node.process.wait(10) == 0
    assert 'Traceback' not in log.read_text()


def test_process_with_a_wrong_parameter_says_so(tmp_path):
    """One line and exit status 2."""
    log = tmp_path / 'log'
    with NodeProcess('segmentation_node', parameters={'mc_samples': 'many'}, log=log) as node:
        try:
            assert node.process.wait(20) == 2
        except subprocess.TimeoutExpired:
            pytest.fail('it runs on')
    assert "error: parameter mc_samples is 'many'" in log.read_text()


def test_model_info_follows_the_engine(bench):
    """Latched: who comes late has it; told anew when another backend took over, and only then."""
    node = bench.add('segmentation')
    bench.active(node)
    told = bench.listen(String, '/segmentation_node/model_info', latched=True)
    bench.until(lambda: len(told) == 1)
    card = json.loads(told[0].data)
    assert card['name'] == 'segmentation' and card['sha256'] and card['engine_key'] == ''
    runner = node.configured.loaded.runners['segmentation']
    state = replace(runner.state(), serving='tensorrt 10.3 fp16', engine_key='abc')
    runner.state = lambda: state
    bench.until(lambda: len(told) == 2)
    assert json.loads(told[1].data)['engine_key'] == 'abc'
    time.sleep(0.5)
    assert len(told) == 2


def test_activate_fails_with_the_reason(bench, diagnosis):
    """A QoS override that is none: inactive, told, no thread left (the fixture looks)."""
    node = bench.add('visual_odometry', {
        'mount': 'parameter',
        'qos_overrides./right/image_rect.subscription.reliability': 'sometimes',
    })
    bench.until(lambda: bool(node.failure))
    level, message, values = diagnosis(node)
    assert level == 2 and message.startswith('activate failed: ') and 'sometimes' in message
    assert values['lifecycle'] == 'inactive' == state(bench, 'visual_odometry_node')
    bench.until(lambda: bench.driver.count_subscribers('/left/image_rect') == 0)


@pytest.mark.parametrize(('mistake', 'told'), [
    (['--params-file', '/no.yaml'], 'opening YAML file'),
    (['--nonsense'], '--nonsense'),
    (['-r', '__ns:=bad-ns'], "'-r __ns:=bad-ns'"),
    (['-p', 'rectify'], "'-p rectify'"),
])
def test_a_command_line_that_is_wrong_is_status_2(mistake, told, capsys):
    """One line that names it, and no traceback."""
    assert run(partial(TaskNode, 'segmentation'), ['--ros-args', *mistake]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('error: the command line is not understood: ') and told in line
    assert '.c:' not in line
