# SPDX-License-Identifier: Apache-2.0
"""A short rendered drive through all six tasks with the released models, twice."""

import json
from pathlib import Path

import pytest

from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder
from perception_nodes.inference.models import list_models
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.simulation.render.stereo_view import stereo_rig

FRAMES = 3
MODELS = (
    'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'features', 'place_recognition'
)


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a small drive; the released models are wanted for it."""
    missing = [name for name in MODELS if name not in list_models()]
    if missing:
        pytest.skip(f'released models are missing: {", ".join(missing)}')
    path = tmp_path_factory.mktemp('rendered') / 'drive'
    return write_rendered_bag(path, 5, FRAMES, rig=stereo_rig(256, 160, focal_px=170.0))


def test_all_six_outputs_twice_the_same(drive: Path, tmp_path: Path) -> None:
    contents = []
    for name in ('first', 'second'):
        replay_to_folder(drive, tmp_path / name, ReplaySettings(on_demand=True, sample_frames=1))
        contents.append((tmp_path / name / 'metrics.json').read_bytes())
    assert contents[0] == contents[1]
    metrics = json.loads(contents[0])
    assert metrics['frames'] == FRAMES
    outputs = metrics['outputs']
    for topic in (
        '/segmentation_node/mask', '/segmentation_node/overlay', '/segmentation_node/uncertainty',
        '/stereo_depth_node/depth/image_rect', '/stereo_depth_node/depth/stddev',
        '/stereo_depth_node/disparity', '/stereo_depth_node/points',
        '/mono_depth_node/depth/image_rect', '/mono_depth_node/depth/stddev',
        '/visual_odometry_node/odometry', '/place_recognition_node/matches',
    ):
        assert outputs[topic] == FRAMES, topic
    assert outputs['/optical_flow_node/flow'] == FRAMES - 1
    assert outputs['/optical_flow_node/flow/stddev'] == FRAMES - 1
    evaluated = {task for task in TASKS if task in metrics['metrics']}
    assert evaluated == set(TASKS) - {'place_recognition'}
