# SPDX-License-Identifier: Apache-2.0
"""The nodes' commands."""

import signal
import time
from importlib.metadata import entry_points

import pytest

from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros import start
from perception_nodes.ros.nodes import perception_node, task_node
from perception_nodes.ros.processes import NodeProcess

NODES = (*(task.node for task in TASKS.values()), 'perception_node')


def test_ctrl_c_while_a_node_is_imported_is_a_clean_end(tmp_path):
    """An rclpy that takes long to import, as a cold disk makes it."""
    (tmp_path / 'rclpy').mkdir()
    (tmp_path / 'rclpy' / '__init__.py').write_text(
        'import time\nprint("importing", flush=True)\ntime.sleep(30)\n'
    )
    log = tmp_path / 'log'
    environment = {'PYTHONPATH': str(tmp_path)}
    with NodeProcess('segmentation_node', log=log, environment=environment) as node:
        until = time.monotonic() + 20
        while 'importing' not in log.read_text() and time.monotonic() < until:
            time.sleep(0.02)
        node.process.send_signal(signal.SIGINT)
        assert node.process.wait(10) == 0
    assert log.read_text() == 'importing\n'


def test_a_command_runs_its_node_and_ends_with_its_status(monkeypatch):
    monkeypatch.setattr(task_node, 'main', lambda task: {'segmentation': 2}[task])
    monkeypatch.setattr(perception_node, 'main', lambda: 3)
    assert start.segmentation_node() == 2 and start.perception_node() == 3
    with pytest.raises(AttributeError):
        start.segmentation()


@pytest.mark.parametrize('name', NODES)
def test_every_node_has_its_command(name):
    commands = {entry.value for entry in entry_points(group='console_scripts', name=name)}
    assert commands == {f'perception_nodes.ros.start:{name}'}
    assert callable(getattr(start, name))
