# SPDX-License-Identifier: Apache-2.0
"""One rendered bag under one protocol: evaluate and replay agree to the last digit."""

from pathlib import Path
from typing import Any

import pytest

from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.evaluation.evaluate import evaluate
from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.inference.models import list_models
from perception_nodes.simulation.render.stereo_view import stereo_rig

TASKS = tuple(task for task in SCORERS if task != 'place_recognition')


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a short sequence; the released models are needed for it."""
    missing = {'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow'} - set(list_models())
    if missing:
        pytest.skip(f'released models are missing: {", ".join(sorted(missing))}')
    path = tmp_path_factory.mktemp('rendered') / 'sequence'
    return write_rendered_bag(path, 5, 4, rig=stereo_rig(256, 160, focal_px=170.0))


@pytest.fixture(scope='module')
def replayed(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp('replayed') / 'out'
    return replay_to_folder(bag, out, ReplaySettings(tasks=TASKS, threads=1)).metrics


@pytest.mark.parametrize('task', TASKS)
def test_every_shared_metric_agrees(bag: Path, replayed: dict[str, Any], task: str) -> None:
    """Only the log-likelihood of classes is not shared: replay asks no model twice."""
    result = evaluate(task, 'bag', bag, protocol='node', threads=1).result()
    ours, theirs = result['metrics'], replayed['metrics'][task]
    assert set(ours) - set(theirs) <= {'nll'}
    assert {name: ours[name] for name in theirs} == theirs
    assert result['protocol'] == replayed['protocol'][task]


def test_odometry_alone_is_the_same_in_both(bag: Path, tmp_path: Path) -> None:
    """Replay of odometry alone has the protocol of the benchmark, but for its name."""
    result = evaluate('visual_odometry', 'bag', bag).result()
    alone = replay_to_folder(bag, tmp_path / 'out', ReplaySettings(('visual_odometry',))).metrics
    assert result['metrics'] == alone['metrics']['visual_odometry']
    assert result['protocol']['inputs'] == alone['protocol']['visual_odometry']['inputs'] == []


def test_the_protocol_is_stated(bag: Path) -> None:
    """What differs from the node is named: a benchmark scores the flow that leaves the image."""
    flow = evaluate('optical_flow', 'bag', bag, threads=1).result()['protocol']
    assert flow == {
        'name': 'benchmark', 'inputs': [], 'config': {'keep_leaving': True},
        'predictions': 'results',
    }  # fmt: skip
