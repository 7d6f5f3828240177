# SPDX-License-Identifier: Apache-2.0
"""What a protocol says of a task: who feeds it, and what differs from the node's parameters."""

import pytest

from perception_nodes.evaluation.protocol import Protocol, protocol_config, protocol_inputs
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.pipelines.segmentation import SegmentationConfig
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError


def test_inputs_are_those_that_are_switched_on_and_run() -> None:
    """Flow helps segmentation only where it smooths over time."""
    still, smooth = SegmentationConfig(), SegmentationConfig(temporal=True)
    assert protocol_inputs('segmentation', still) == ()
    assert protocol_inputs('segmentation', smooth) == ('optical_flow',)
    odometry = TASKS['visual_odometry'].config()
    assert protocol_inputs('visual_odometry', odometry) == ('segmentation', 'stereo_depth')
    running = {'visual_odometry': odometry, 'segmentation': smooth, 'optical_flow': None}
    assert protocol_inputs('visual_odometry', odometry, running) == (
        'optical_flow', 'segmentation'
    )


def test_a_protocol_names_what_was_changed() -> None:
    content = Protocol.of(
        'mono_depth', 'benchmark', (), protocol_config('mono_depth', 'benchmark')
    ).content()
    assert content['config'] == {'min_depth_m': 0.0, 'max_depth_m': 1e4}
    assert 'alignment' not in content
    odometry = Protocol.of(
        'visual_odometry', 'node', ('stereo_depth',), protocol_config('visual_odometry', 'node'),
        alignment=Alignment('sim3', 7),
    ).content()
    assert odometry['config'] == {}
    assert odometry['alignment'] == 'sim3 over the first 7 poses'


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(PerceptionError, match="no protocol 'live'; there are benchmark, node"):
        protocol_config('mono_depth', 'live')
