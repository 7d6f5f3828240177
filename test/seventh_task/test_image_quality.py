# SPDX-License-Identifier: Apache-2.0
"""A task that is added by its own files and its registration is replayed, evaluated and shown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.evaluation.evaluate import evaluate
from perception_nodes.evaluation.evaluation_report import evaluation_report
from perception_nodes.evaluation.recordings.results import recorded_results
from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder
from perception_nodes.evaluation.report import write_report
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.tasks.describe import document
from perception_nodes.types import Camera, PerceptionError, StereoRig

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 3


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short rendered sequence."""
    left = Camera.pinhole(160, 96, 100.0, 100.0, 79.5, 47.5)
    right = Camera.pinhole(160, 96, 100.0, 100.0, 79.5, 47.5, baseline_m=0.4)
    path = tmp_path_factory.mktemp('seventh') / 'drive'
    return write_rendered_bag(path, seed=3, frames=FRAMES, rig=StereoRig(left, right))


def test_it_is_replayed_scored_and_drawn(seventh: Any, drive: Path, tmp_path: Path) -> None:
    settings = ReplaySettings(
        tasks=('image_quality',), on_demand=True, parameters={'image_quality.dark': '60'}
    )
    result = replay_to_folder(drive, tmp_path / 'out', settings)
    assert result.metrics['outputs'] == {
        '/image_quality_node/clipped': FRAMES, '/image_quality_node/model_info': 1,
        '/image_quality_node/status': FRAMES,
    }
    scores = result.metrics['metrics']['image_quality']
    assert scores['sharpness'] > 0 and 0 < scores['clipped'] < 1
    assert 'clipped pixels' in (tmp_path / 'out' / 'report.html').read_text()
    with open_bag(tmp_path / 'out' / 'outputs') as bag:
        read_back = [recorded.result for recorded in recorded_results(bag)]
        info = json.loads(bag.first('/image_quality_node/model_info').message.data)
    assert len(read_back) == FRAMES and info['name'] == 'none'
    mean = sum(one.sharpness for one in read_back) / FRAMES
    assert mean == pytest.approx(scores['sharpness'], rel=1e-12)


def test_it_is_evaluated_and_reported(seventh: Any, drive: Path, tmp_path: Path) -> None:
    evaluation = evaluate(
        'image_quality', 'bag', drive, parameters={'dark': '60'}, details=True
    )
    result = evaluation.result()
    assert result['task'] == 'image_quality' and result['frames'] == FRAMES
    replayed = replay_to_folder(drive, tmp_path / 'out', ReplaySettings(
        tasks=('image_quality',), parameters={'image_quality.dark': '60'}
    ))
    assert result['metrics'] == replayed.metrics['metrics']['image_quality']
    write_report(tmp_path / 'report.html', evaluation_report(evaluation))
    assert 'sharpness' in (tmp_path / 'report.html').read_text()


def test_without_a_scorer_it_is_not_evaluated(
    seventh: Any, drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SCORERS, 'image_quality')
    with pytest.raises(PerceptionError, match='image_quality has no scorer'):
        evaluate('image_quality', 'bag', drive)
    result = replay_to_folder(
        drive, tmp_path / 'out', ReplaySettings(tasks=('image_quality',))
    )
    assert result.metrics['outputs']['/image_quality_node/status'] == FRAMES
    assert result.metrics['metrics'] == {}


def test_it_is_built_and_documented(seventh: Any) -> None:
    pipeline = build_pipeline('image_quality', config=seventh.ImageQualityConfig(dark=9))
    assert pipeline.config.dark == 9 and pipeline.runners == ()
    assert '## `image_quality_node`' in document()


@pytest.mark.parametrize('command', ['replay', 'evaluate'])
def test_the_command_line_lists_it(command: str) -> None:
    """In a process of its own, where nothing had been imported before it was added."""
    code = (
        'import importlib.util, sys\n'
        'spec = importlib.util.spec_from_file_location("image_quality", sys.argv.pop(1))\n'
        'module = importlib.util.module_from_spec(spec)\n'
        'spec.loader.exec_module(module)\n'
        'from perception_nodes.pipelines.tasks import TASKS\n'
        'from perception_nodes.evaluation.scorers import SCORERS\n'
        'TASKS["image_quality"] = module.TASK\n'
        'SCORERS["image_quality"] = module.ImageQualityScorer\n'
        'from perception_nodes.cli.main import main\n'
        'main()\n'
    )
    path = ROOT / 'test' / 'seventh_task' / 'image_quality.py'
    told = subprocess.run(
        [sys.executable, '-c', code, str(path), command, '--help'], capture_output=True,
        text=True, check=True, env=None,
    ).stdout
    assert 'image_quality' in told
