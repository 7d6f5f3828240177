# SPDX-License-Identifier: Apache-2.0
"""Nodes that only build their engines, and end."""

from dataclasses import replace

import pytest

from perception_nodes.inference import open_runner
from perception_nodes.pipelines.perception import Perception
from perception_nodes.pipelines.segmentation import SegmentationPipeline
from perception_nodes.ros.node.build_only import blank_frame, build_engines
from perception_nodes.ros.processes import NodeProcess
from perception_nodes.ros.tasks.loading import Loaded


def test_process_ends_by_itself(tmp_path):
    """Without a GPU there is no engine to build, and that is no error."""
    log = tmp_path / 'log'
    parameters = {
        'build_only': True, 'build_size': [320, 192], 'backend': 'onnxruntime',
    }
    with NodeProcess('stereo_depth_node', parameters=parameters, log=log) as node:
        assert node.process.wait(60) == 0
    assert 'stereo_depth: no engine to build for onnxruntime' in log.read_text()
    assert 'Traceback' not in log.read_text()


class Waits:
    """A runner whose engine comes to a known end."""

    def __init__(self, ready):
        self._runner, self._ready = open_runner('segmentation', backend='onnxruntime'), ready
        self.card, self.backend, self.shapes = self._runner.card, 'test', []

    def run(self, inputs, outputs=None):
        """Remember the shapes that an engine would be built for."""
        self.shapes.append({name: array.shape for name, array in inputs.items()})
        return self._runner.run(inputs, outputs)

    def wait(self):
        """Say how it ended."""
        return self._ready

    def state(self):
        """Tell why."""
        return replace(self._runner.state(), detail='out of memory')


def test_engines_are_built_for_the_shapes_that_will_run():
    """The first run asks for them; the outcome is told, and the exit status says it."""
    for ready, told in ((True, 'segmentation: engine is ready'),
                        (False, 'segmentation: no engine: out of memory')):
        runner, lines = Waits(ready), []
        loaded = Loaded(
            Perception({'segmentation': SegmentationPipeline(runner)}), {'segmentation': runner}
        )
        assert build_engines(loaded, blank_frame(96, 64, stereo=False), lines.append) == ready
        assert lines == [told]
        assert runner.shapes[0]['image'] == (1, 64, 96, 3)


def test_blank_pair_is_a_valid_rig():
    """Two black images, a baseline, the size that was asked."""
    frame = blank_frame(96, 64, stereo=True)
    assert frame.rig.baseline_m == pytest.approx(0.1)
    assert (frame.left.width, frame.right.height) == (96, 64)
