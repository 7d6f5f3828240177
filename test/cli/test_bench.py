# SPDX-License-Identifier: Apache-2.0
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from perception_nodes.cli import bench
from perception_nodes.cli.bench_scores import usual_data_set
from perception_nodes.evaluation.model_inputs import InputFrame
from perception_nodes.evaluation.sources import SOURCES
from perception_nodes.evaluation.speed import (
    SpeedCase,
    SpeedResult,
    differences,
    measure,
    stereo_frames,
)
from perception_nodes.inference.memory import memory_mb, peak_memory_mb
from perception_nodes.inference.tensorrt.gpu import probe_gpu
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(bench.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_task_is_measured_beside_its_baselines_and_failures_are_named(tmp_path: Path) -> None:
    path = tmp_path / 'table.json'
    text = run('stereo_depth', '--peers', '--model', 'sgbm', '--backends', 'tensorrt,openvino',
               '--size', '192x96', '--calls', '3', '--json', str(path))
    content = json.loads(path.read_text())
    assert (content['size'], content['threads'], content['calls']) == ([192, 96], 1, 3)
    ours, engine, openvino, *others = content['rows']
    assert [row['name'] for row in others] == [
        'stereo_depth pipeline', 'sgbm pipeline', 'sgbm', 'block_matching',
    ]
    for row in (ours, *others):
        assert 0 < row['p50_ms'] <= row['p99_ms']
        assert row['name'] in text
    assert ours['memory_mb'] > 3, 'the weights alone are more than that'
    exact = {name: {'mean': 0.0, 'largest': 0.0} for name in ('disparity_px', 'sigma_px')}
    assert ours['difference'] == exact
    if probe_gpu() is None:
        assert 'needs an NVIDIA GPU' in engine['not_run']
        assert 'not run: stereo_depth: backend tensorrt needs' in text
    if importlib.util.find_spec('openvino'):
        assert openvino['backend'].startswith('openvino')
        assert openvino['difference']['disparity_px']['mean'] < 1e-2


def test_all_tasks_are_scored_on_their_usual_data(shared: Path, tmp_path: Path) -> None:
    for part, name in (('other-data', 'Dimetrodon'), ('other-gt-flow', 'Dimetrodon')):
        folder = tmp_path / 'middlebury_flow' / part
        folder.mkdir(parents=True)
        (folder / name).symlink_to(shared / 'data' / 'middlebury_flow' / part / name)
    path = tmp_path / 'table.json'
    text = run('optical_flow', 'segmentation', '--backends', 'openvino', '--size', '96x64',
               '--calls', '2', '--data', str(tmp_path), '--json', str(path))
    assert f'not evaluated: {tmp_path / "camvid"} is missing' in text
    rows = json.loads(path.read_text())['rows']
    ours, openvino = (row for row in rows
                      if row['task'] == 'optical_flow' and row.get('kind', 'model') == 'model')
    assert ours['metric_change_percent'] == 0.0
    assert 0 < ours['metrics']['epe_px'] < 5
    if importlib.util.find_spec('openvino'):
        change = openvino['metrics']['epe_px'] / ours['metrics']['epe_px'] - 1
        assert openvino['metric_change_percent'] == pytest.approx(100 * change, abs=1e-3)
        assert abs(change) < 0.01
        assert 'epe_px on middlebury_flow' in text


@pytest.mark.parametrize('task', TASKS)
def test_every_task_has_usual_data_and_a_headline(task: str) -> None:
    data_set = usual_data_set(task, Path('data'))
    if data_set is None:
        assert task == 'visual_odometry', 'a bag is no data set'
        return
    assert data_set.dataset in SOURCES[task]


def test_differences_are_hand_computed() -> None:
    def result(disparity: list[float], labels: list[int]) -> SpeedResult:
        outputs = {'disparity': np.array(disparity, np.float32),
                   'labels': np.array(labels, np.uint8)}
        return SpeedResult(SpeedCase('model', 't', 'n'), 'b', (1.0, 3.0), 0.0, 0.0, (outputs,))

    one, two = result([1.0, 2.0, np.nan], [1, 2, 3, 4]), result([1.5, 2.1, 7.0], [1, 2, 3, 5])
    found = differences(one, two)
    assert found['disparity'] == pytest.approx((0.3, 0.5), abs=1e-6)
    assert found['labels'] == (0.25, 0.25)
    assert (one.p50_ms, one.per_second) == (2.0, 500.0)


def test_the_process_that_measures_tells_what_is_wrong() -> None:
    frame = InputFrame(np.zeros((8, 8, 3), np.uint8), None, 8.0)
    (found,) = measure([SpeedCase('model', 'segmentation', 'nothing', 'nothing')], [frame] * 2, 2)
    assert isinstance(found, PerceptionError)
    assert "nothing: no model 'nothing'" in str(found)


def test_memory_is_of_this_process() -> None:
    before = memory_mb()
    block = np.ones(40 << 20, np.uint8)
    assert memory_mb() - before > 30
    assert peak_memory_mb() >= memory_mb()
    assert block.any()


def test_frames_come_from_images_in_the_asked_size(tmp_path: Path) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((60, 80, 3), 20 * index, np.uint8))
    frames = bench.take_frames(tmp_path, (40, 30))
    assert [frame.left.shape for frame in frames] == [(30, 40, 3)] * 3
    made = stereo_frames(frames)
    assert made[2].left.data[0, 0, 0] == 40
    assert made[0].rig.baseline_m == pytest.approx(0.5)
    assert made[0].rig.focal_px == pytest.approx(40)
    rendered = bench.take_frames(None, (64, 48))
    assert rendered[0].left.shape == (48, 64, 3)
    np.testing.assert_array_equal(
        rendered[0].left[:, bench.STEP_PX:], rendered[1].left[:, :-bench.STEP_PX]
    )


@pytest.mark.parametrize(('arguments', 'told'), [
    (('juggling',), "no task 'juggling'"),
    (('stereo_depth', '--backends', 'tpu'), "'tpu'"),
    (('stereo_depth', '--backends', 'onnxruntime:fp8'), 'precision one of'),
    (('stereo_depth', '--dataset', 'kitti_stereo'), '--dataset and --root together'),
    (('stereo_depth', '--data', '.', '--dataset', 'kitti_stereo', '--root', '.'), 'or --data'),
    (('stereo_depth', '--input', '/nowhere'), '/nowhere'),
])
def test_mistakes_are_one_line(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(PerceptionError) as error:
        run(*arguments)
    assert told in str(error.value)
    assert '\n' not in str(error.value)
