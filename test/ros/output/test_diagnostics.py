# SPDX-License-Identifier: Apache-2.0
"""What a state becomes on /diagnostics."""

import pytest

from perception_nodes.inference.runner import RunnerState
from perception_nodes.ros import problems
from perception_nodes.ros.factory import RclpyFactory
from perception_nodes.ros.output import diagnostics
from perception_nodes.ros.output.diagnostics import ERROR, OK, WARN, Finding
from perception_nodes.ros.problems import Problems
from perception_nodes.ros.statistics import Statistics
from perception_nodes.text import one_line, short_list

BUILDING = RunnerState('onnxruntime cpu', 'building', 'no engine yet; tactics (40%)', 0.4)
FAILED = RunnerState('onnxruntime cpu', 'failed', 'out of memory', 0.0, healthy=False)
READY = RunnerState('tensorrt 10.3 fp16', 'ready', '', 1.0, engine_key='abc')


def test_engines_are_told():
    """A build is no fault, a failed engine is; both say what serves meanwhile."""
    found = diagnostics.engine_findings({'a': BUILDING, 'b': FAILED, 'c': READY})
    assert found == [
        Finding(OK, 'a: onnxruntime cpu serves while an engine is built: no engine yet; tactics '
                    '(40%)'),
        Finding(ERROR, 'b: onnxruntime cpu serves, no engine: out of memory'),
    ]
    statistics = Statistics()
    statistics.count('dropped', 3)
    told = diagnostics.values('active', statistics, {'c': READY, 'a': BUILDING}, {})
    assert told['dropped'] == '3'
    assert told['c.backend'] == 'tensorrt 10.3 fp16' and told['c.engine_key'] == 'abc'
    assert told['a.engine_detail'] == 'no engine yet; tactics (40%)'
    assert 'a.engine_key' not in told and 'c.engine_detail' not in told
    assert told['latency_p50_ms'] == 'nan' and told['rate_in_hz'] == '0.00'


def test_worst_comes_first():
    """Level of the worst finding, its words in front."""
    message = diagnostics.array_message(
        'node', 'cpu', [Finding(OK, 'fine'), Finding(ERROR, 'broken'), Finding(WARN, 'odd')],
        {'dropped': '0'}, RclpyFactory(), 5_000_000_001,
    )
    status, = message.status
    assert (status.level, status.message) == (b'\x02', 'broken; odd; fine')
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 1)
    assert [(v.key, v.value) for v in status.values] == [('dropped', '0')]
    quiet = diagnostics.array_message('node', '', [], {}, RclpyFactory(), 0).status[0]
    assert (quiet.level, quiet.message) == (b'\x00', 'running')


def test_what_is_long_is_cut():
    """Findings and values that hold what somebody sent; many findings are counted."""
    findings = [Finding(WARN, f'{number} ' + 'x' * 5000) for number in range(20)]
    message = diagnostics.array_message(
        'node', '', findings, {'problem 0': 'y' * 5000}, RclpyFactory(), 0
    )
    status, = message.status
    assert len(status.message) < 4000 and status.message.endswith('12 more')
    assert len(status.values[0].value) < 500


def test_text_of_the_network_is_one_printable_line():
    """Cut, with its length behind it; escape sequences and line ends do not reach a terminal."""
    assert one_line('a\n b\tc') == 'a b c'
    assert one_line('\x1b[31mred\x07') == '?[31mred?'
    cut = one_line('z' * 300_000)
    assert len(cut) < 450 and cut.endswith('... (300000 characters)')
    assert short_list(['/a', '/b']) == '/a, /b'
    assert short_list([f'/{number}' for number in range(300)]) == '/0, /1, /2, /3 and 296 more'


def test_log_of_problems_is_bounded():
    """Somebody sends a new nonsense each time, 300 KB of it."""
    log = []
    noted = Problems(log.append)
    for number in range(300):
        noted.add(chr(97 + number % 26) * 300_000 + 'q' * number)
        noted.add(f'kind {"w" * number}')
    assert sum(map(len, log)) < 100_000
    assert max(len(problem.message) for problem in noted.all()) < 500


def test_problems_are_logged_once_a_kind_and_counted(monkeypatch):
    """Numbers do not make a new kind; old ones are not fresh; the number of kinds is bounded."""
    log = []
    noted = Problems(log.append)
    for size in (10, 20, 30):
        noted.add(f'image of {size} bytes')
    noted.add('no\ncalibration')
    assert log == [
        'image of 10 bytes (further ones are counted in /diagnostics)',
        'no calibration (further ones are counted in /diagnostics)',
    ]
    assert [(p.message, p.count) for p in noted.fresh()] == [
        ('no calibration', 1), ('image of 30 bytes', 3)
    ]
    monkeypatch.setattr(problems, 'FRESH_S', -1.0)
    assert noted.fresh() == () and len(noted.all()) == 2
    for letter in range(100):
        noted.add(f'kind {"x" * letter}')
    assert len(noted.all()) == problems.MAX_KINDS
    noted.clear()
    noted.add('image of 40 bytes')
    assert log[-1].startswith('image of 40 bytes')


@pytest.mark.parametrize('message', ['a 1.5 b', 'a 22 b', 'a 0.001 b'])
def test_kind_is_the_message_without_numbers(message):
    """As above, for all sorts of numbers."""
    log = []
    noted = Problems(log.append)
    noted.add('a 7 b')
    noted.add(message)
    assert len(log) == 1
