# SPDX-License-Identifier: Apache-2.0
"""Evaluation on data whose answer is known: conventions, result, baselines, command."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.cli.evaluate import command
from perception_nodes.datasets.files import write_flo
from perception_nodes.evaluation import evaluate as evaluation
from perception_nodes.evaluation.baselines.dis_flow import DisFlowPipeline
from perception_nodes.evaluation.baselines.sgbm import SgbmPipeline
from perception_nodes.evaluation.evaluation_report import evaluation_report
from perception_nodes.evaluation.report import render_report
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig
from perception_nodes.types import (
    Camera,
    Depth,
    Image,
    Odometry,
    PerceptionError,
)


class TrueOdometry:
    """A pipeline that knows the wall drive: it slides to the right by 3 px of 6.25 m a frame."""

    runners = ()

    def __init__(self) -> None:
        self.frame = 0

    def reset(self) -> None:
        self.frame = 0

    def __call__(
        self, left: Image, right: Image, rig: Any, depth: Any = None, segmentation: Any = None
    ) -> Odometry:
        pose = np.eye(4)
        pose[1, 3] = -3 * 6.25 / 100.0 * self.frame
        self.frame += 1
        return Odometry(
            left.stamp_ns, 'odom', 'base_link', pose, np.eye(6), np.zeros(6), np.eye(6)
        )


def put_in_place(monkeypatch: pytest.MonkeyPatch, pipeline: Any) -> None:
    """Let evaluate evaluate this pipeline instead of the released one."""
    monkeypatch.setattr(evaluation, 'build_pipeline', lambda task, **settings: pipeline)


def write_middlebury_flow(root: Path, texture: np.ndarray) -> None:
    """Everything moves by (5, 2) px from frame 10 to frame 11."""
    for name, image in (('frame10', texture[10:90, 20:180]), ('frame11', texture[8:88, 15:175])):
        path = root / 'other-data' / 'Shifted' / f'{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    folder = root / 'other-gt-flow' / 'Shifted'
    folder.mkdir(parents=True)
    write_flo(folder / 'flow10.flo', np.full((80, 160, 2), (5.0, 2.0), np.float32))


def test_flow_is_scored_in_the_direction_of_the_data_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wall_drive: Any
) -> None:
    """DIS gets the shift right to a tenth of a pixel; a flipped sign would cost 10.8 px."""
    write_middlebury_flow(tmp_path, wall_drive.texture)
    put_in_place(monkeypatch, DisFlowPipeline())
    result = evaluation.evaluate(
        'optical_flow', 'middlebury_flow', tmp_path, baselines=('dis',)
    ).result()
    assert result['peers']['dis']['epe_px'] < 0.3
    assert result['peers']['dis']['density'] == 1.0


def test_the_result_has_the_form_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, SgbmPipeline())
    evaluated = evaluation.evaluate('stereo_depth', 'bag', wall_bag, baselines=('block_matching',))
    result = json.loads(json.dumps(evaluated.result(), allow_nan=False))
    assert list(result) == [
        'task', 'dataset', 'split', 'model', 'backend', 'frames', 'metrics', 'peers',
        'ms_per_frame', 'protocol',
    ]  # fmt: skip
    assert (result['task'], result['dataset'], result['split']) == ('stereo_depth', 'bag', None)
    assert result['frames'] == 6
    assert list(result['ms_per_frame']) == ['p50', 'p99']
    assert 0.0 < result['ms_per_frame']['p50'] <= result['ms_per_frame']['p99']
    wanted = {'d1', 'epe_px', 'bad1', 'bad2', 'density', 'coverage1'}
    assert wanted <= set(result['metrics'])
    assert result['metrics']['d1'] < 0.02
    assert result['peers']['block_matching']['epe_px'] < 1.0


def test_odometry_of_a_bag_is_scored_against_its_truth(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, TrueOdometry())
    evaluated = evaluation.evaluate('visual_odometry', 'bag', wall_bag)
    assert evaluated.ours.metrics['path_m'] == pytest.approx(5 * 3 * 6.25 / 100.0)
    assert evaluated.ours.metrics['end_error_percent'] == pytest.approx(0.0, abs=1e-9)
    assert evaluated.ours.metrics['coverage1'] == 1.0


def test_what_is_bad_in_a_bag_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path, tmp_path: Path
) -> None:
    """An empty image and a pose with a quaternion of zeros: the others are scored."""
    path = tmp_path / 'bag'
    with open_bag(wall_bag) as bag, BagWriter(path) as writer:
        for topic in bag.topics():
            for number, entry in enumerate(bag.messages([topic])):
                if topic == '/right/image_rect' and number == 5:
                    entry.message.data = entry.message.data[:0]
                if topic == '/ground_truth/odometry' and number == 2:
                    entry.message.pose.pose.orientation.w = 0.0
                writer.write(topic, entry.recorded_ns, entry.message)
    put_in_place(monkeypatch, TrueOdometry())
    result = evaluation.evaluate('visual_odometry', 'bag', path).result()
    assert result['frames'] == 5
    assert any('1 message of /right/image_rect left out' in note for note in result['notes'])
    assert any('1 message of /ground_truth/odometry left out' in n for n in result['notes'])


class ConstantDepth:
    """Says 5.5 m of every pixel, give or take half a metre."""

    runners = ()

    def reset(self) -> None:
        """Forget nothing."""

    def __call__(self, image: Image, camera: Camera) -> Depth:
        full = np.ones(image.data.shape[:2], np.float32)
        return Depth(image.stamp_ns, '', camera, 5.5 * full, 0.5 * full)


def test_mono_depth_with_and_without_median_scaling(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    """The wall is at 6.25 m: 12 % too near, three halves of a sigma, right once scaled."""
    put_in_place(monkeypatch, ConstantDepth())
    evaluated = evaluation.evaluate('mono_depth', 'bag', wall_bag, details=True)
    metrics = evaluated.ours.metrics
    assert metrics['abs_rel'] == pytest.approx(0.12, abs=1e-6)
    assert metrics['abs_rel_median_scaled'] == pytest.approx(0.0, abs=1e-6)
    assert (metrics['coverage1'], metrics['coverage2']) == (0.0, 1.0)
    assert '<svg' in render_report(evaluation_report(evaluated))


def test_an_unknown_baseline_is_named(wall_bag: Path) -> None:
    with pytest.raises(PerceptionError, match="no baseline 'magic' of stereo_depth; there"):
        evaluation.evaluate('stereo_depth', 'bag', wall_bag, baselines=('magic',))


def test_the_report_shows_frames_plots_and_numbers(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, SgbmPipeline())
    evaluated = evaluation.evaluate(
        'stereo_depth', 'bag', wall_bag, baselines=('block_matching',), details=True
    )
    page = render_report(evaluation_report(evaluated))
    assert page.count('<img ') == 4 * 5
    assert page.count('<svg') == 4
    assert 'block_matching' in page
    assert len(evaluated.ours.frame_values) == 6


def test_a_parameter_is_changed_and_told(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    built: dict[str, Any] = {}

    def build(task: str, **settings: Any) -> SgbmPipeline:
        built.update(settings)
        return SgbmPipeline()

    monkeypatch.setattr(evaluation, 'build_pipeline', build)
    texts = {'min_depth_m': '2'}
    evaluated = evaluation.evaluate('stereo_depth', 'bag', wall_bag, parameters=texts)
    assert built['config'] == StereoDepthConfig(min_depth_m=2.0)
    assert evaluated.result()['parameters'] == texts
    assert ', min_depth_m 2' in evaluation_report(evaluated).subtitle
    with pytest.raises(PerceptionError, match='no parameter depth; there are'):
        evaluation.evaluate('stereo_depth', 'bag', wall_bag, parameters={'depth': '2'})


def test_times_are_those_of_the_call(monkeypatch: pytest.MonkeyPatch, wall_bag: Path) -> None:
    """The clock runs in the pipeline's call only: a clock that ticks 5 ms per look gives 5 ms."""
    put_in_place(monkeypatch, SgbmPipeline())
    ticks = iter(range(0, 10**9, 5_000_000))
    monkeypatch.setattr(
        'perception_nodes.pipelines.timed.time.perf_counter_ns', lambda: next(ticks)
    )
    evaluated = evaluation.evaluate('stereo_depth', 'bag', wall_bag)
    assert evaluated.ours.call_ms == (5.0,) * 6
    assert replace(evaluated.ours, call_ms=(1.0, 3.0)).ms_per_frame['p50'] == 2.0


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'perception_nodes.cli.main', 'evaluate', *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_ends_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / 'out.json'
    done = run_command(
        'segmentation', '--dataset', 'camvid', '--root', str(tmp_path), '--json', str(out)
    )
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1
    assert f'{tmp_path} is not a CamVid folder' in done.stderr
    assert not out.exists()


def test_the_command_writes_result_and_report(tmp_path: Path, wall_bag: Path) -> None:
    """The released model on the wall, beside both baselines."""
    out, page = tmp_path / 'out.json', tmp_path / 'report.html'
    words = ['stereo_depth', '--dataset', 'bag', '--root', str(wall_bag), '--json', str(out),
             '--report', str(page), '--peers', '--backend', 'onnxruntime', '--threads', '1']
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(out.read_text())
    assert result['model'] == 'stereo_depth'
    assert set(result['peers']) == {'sgbm', 'block_matching'}
    assert result['metrics']['density'] > 0.9
    for name, value in result['metrics'].items():
        assert f'{name} ' in done.output
        assert np.isfinite(value)
    assert page.read_text().startswith('<!doctype html>')
