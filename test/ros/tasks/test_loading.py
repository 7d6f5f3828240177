# SPDX-License-Identifier: Apache-2.0
"""What a node's parameters say of its backend reaches every model that it opens."""

import pytest

from perception_nodes.inference import open_runner
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.config import NodeConfig
from perception_nodes.ros.tasks import loading
from perception_nodes.types import PerceptionError


def test_every_parameter_of_the_backend_reaches_the_model(monkeypatch, tmp_path):
    """Device, memory, threads, spinning and the folder of engines as the user wrote them."""
    asked = []

    def record(model, **options):
        asked.append((model, options))
        return open_runner(model, backend='onnxruntime')

    monkeypatch.setattr(loading, 'open_runner', record)
    node = NodeConfig(
        backend='tensorrt_rtx', precision='int8', threads=3, spinning=True, gpu=1,
        memory_limit_mb=500, engine_dir=str(tmp_path),
    )
    loaded = loading.load(
        {'segmentation': ''}, {'segmentation': TASKS['segmentation'].config()}, node
    )
    loaded.close()
    assert asked == [('segmentation', {
        'backend': 'tensorrt_rtx', 'precision': 'int8', 'threads': 3, 'spinning': True, 'gpu': 1,
        'memory_limit_mb': 500, 'engine_dir': str(tmp_path),
    })]


@pytest.mark.parametrize(('name', 'value'), [
    ('gpu', -1), ('memory_limit_mb', -5), ('sync', 'newest'), ('codec', 'opencv'),
])
def test_a_value_that_cannot_be_is_one_line(name, value):
    """Told by the parameter's name."""
    with pytest.raises(PerceptionError, match=name):
        NodeConfig(**{name: value})


def test_policy_that_could_never_pair_is_refused():
    """message_filters pairs strictly below its slop."""
    assert NodeConfig(sync='exact', sync_tolerance_s=0.0).sync == 'exact'
    with pytest.raises(PerceptionError, match='sync_tolerance_s, which is 0: choose exact or own'):
        NodeConfig(sync='approximate', sync_tolerance_s=0.0)
