# SPDX-License-Identifier: Apache-2.0
"""A task that is added by its own files is a node, and part of perception_node, over real DDS."""

import json

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image
from std_msgs.msg import String

from perception_nodes.messages.image import decode_array
from perception_nodes.ros import start
from perception_nodes.ros.nodes import task_node
from perception_nodes.ros.nodes.perception_node import PerceptionNode
from perception_nodes.ros.tools.parameter_files import parameter_files
from perception_nodes.ros.tools.recorder import node_topics
from perception_nodes.types import PerceptionError

NAME = '/image_quality_node'


@pytest.mark.parametrize('alone', [True, False], ids=['own node', 'perception_node'])
def test_it_is_published(bench, wall, seventh, alone):
    """What is published is what the pipeline answers; parameters reach it by their names."""
    if alone:
        node = bench.add('image_quality', {'dark': 60})
    else:
        node = bench.add(PerceptionNode, {
            'tasks': ['image_quality'], 'image_quality.dark': 60
        })
    bench.active(node)
    status = bench.listen(DiagnosticStatus, f'{NAME}/status')
    clipped = bench.listen(Image, f'{NAME}/clipped')
    info = bench.listen(String, f'{NAME}/model_info', latched=True)
    bench.connect_cameras(mono=True)
    bench.until(lambda: node.configured._outputs.wanted('image_quality') >= {'status', 'clipped'})
    pair = wall(1)[0]
    bench.send(pair, mono=True)
    bench.until(lambda: status and clipped and info)
    expected = seventh.ImageQualityPipeline(seventh.ImageQualityConfig(dark=60))(pair.left)
    result = seventh.result_of({'status': status[0]})
    assert (result.stamp_ns, result.sharpness) == (pair.left.stamp_ns, expected.sharpness)
    assert ((decode_array(clipped[0]) == 255) == expected.clipped).all()
    assert json.loads(info[0].data)['name'] == 'none'


def test_it_has_its_file_of_parameters_its_command_and_is_recorded(seventh, monkeypatch):
    """All from the record."""
    assert 'dark: 2' in parameter_files()['image_quality_node.yaml']
    monkeypatch.setattr(task_node, 'main', lambda task: {'image_quality': 7}[task])
    assert start.image_quality_node() == 7
    assert f'{NAME}/status' in node_topics(('image_quality',))


def test_a_task_that_takes_no_image_has_no_node_of_its_own(bench, seventh, monkeypatch):
    """It says where it runs."""
    from dataclasses import replace

    from perception_nodes.pipelines.tasks import TASKS

    monkeypatch.setitem(TASKS, 'image_quality', replace(seventh.TASK, cameras=0))
    with pytest.raises(PerceptionError, match='run it in perception_node'):
        bench.add('image_quality')
