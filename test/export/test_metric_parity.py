# SPDX-License-Identifier: Apache-2.0
"""What a lower precision costs in the task's own metric, on real data: fp16 1 %, int8 3 %."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.evaluation.evaluate import evaluate
from perception_nodes.evaluation.method import run_method
from perception_nodes.evaluation.model_inputs import read_input_frames
from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.evaluation.sources import open_source
from perception_nodes.export.precision import export_precision
from perception_nodes.inference import open_runner
from perception_nodes.pipelines.build import build_pipeline
from perception_nodes.pipelines.visual_odometry import VisualOdometryConfig

TOLERANCE = {'fp16': 0.01, 'int8': 0.03}
MODELS = Path(__file__).resolve().parents[2] / 'models'


@dataclass(frozen=True)
class Case:
    """A task's data, how many of its samples are enough here, and what int8 is calibrated on."""

    dataset: str
    folder: str
    metric: str
    samples: int
    calibration: str


CASES = {
    'segmentation': Case('camvid', 'data/camvid', 'miou', 6, 'data/camvid/train'),
    'stereo_depth': Case('kitti_stereo', 'data/kitti_stereo_2015', 'd1', 4,
                         'bags/kitti_06_stereo'),
    'mono_depth': Case('kitti_depth', 'data/kitti_depth', 'abs_rel', 3, 'bags/kitti_06_stereo'),
    'optical_flow': Case('middlebury_flow', 'data/middlebury_flow', 'epe_px', 2,
                         'bags/kitti_06_stereo'),
    'place_recognition': Case('loop_matrix', 'data/rtabmap_corridor', 'ap', 29,
                              'data/rtabmap_corridor/images'),
}


@lru_cache(maxsize=len(CASES))
def reference(task: str, shared: Path) -> float:
    """Metric of the released fp32 model."""
    return score(task, MODELS / f'{task}.onnx', shared)


def score(task: str, model: Path, shared: Path) -> float:
    """Metric of a model file over samples spread through the data set."""
    case = CASES[task]
    source = open_source(task, case.dataset, shared / case.folder, None)
    pipeline = build_pipeline(task, model=model, backend='onnxruntime', threads=1)
    step = max(1, source.count // case.samples)
    chosen = list(islice(source.samples, 0, step * case.samples, step))
    source = replace(source, samples=chosen, count=len(chosen))
    result = run_method('ours', task, pipeline, {}, SCORERS[task](source), source)
    return result.metrics[case.metric]


@pytest.mark.parametrize('precision', ['fp16', 'int8'])
@pytest.mark.parametrize('task', CASES)
def test_the_metric_hardly_moves(
    task: str, precision: str, shared: Path, tmp_path: Path
) -> None:
    exact = reference(task, shared)
    calibration = shared / CASES[task].calibration
    model = export_precision(MODELS / f'{task}.onnx', precision, tmp_path, calibration, frames=4)
    lowered = score(task, model, shared)
    assert lowered == pytest.approx(exact, rel=TOLERANCE[precision])


def stereo_match_share(model: Path, shared: Path) -> float:
    """Share of mutually nearest left-right features that lie on one row, left of each other.

    Three real rectified pairs; a keypoint may be two pixels off its row.
    """
    runner = open_runner(model, backend='onnxruntime', threads=1)
    frames = list(islice(read_input_frames(shared / 'bags/kitti_06_stereo'), 0, 45, 15))
    good = tried = 0
    for frame in frames:
        left, right = (runner.run({'image': image[None]}) for image in (frame.left, frame.right))
        similarity = left['descriptors'][0] @ right['descriptors'][0].T
        nearest = similarity.argmax(1)
        rows = np.arange(len(nearest))
        mutual = similarity.argmax(0)[nearest] == rows
        step = left['keypoints_px'][0] - right['keypoints_px'][0][nearest]
        good += int((mutual & (abs(step[:, 1]) <= 2.0) & (step[:, 0] >= -1.0)).sum())
        tried += int(mutual.sum())
    return good / tried


class KeypointGraph:
    """The features model as the function of tensors that ``measure_keypoints`` evaluates."""

    def __init__(self, model: Path) -> None:
        self.runner = open_runner(model, backend='onnxruntime', threads=1)

    def __call__(self, image: Any) -> list[Any]:
        torch = pytest.importorskip('torch')
        result = self.runner.run({'image': image.numpy()})
        return [torch.from_numpy(result[name])
                for name in ('keypoints_px', 'scores', 'descriptors')]


@pytest.fixture(scope='module', params=['fp16', 'int8'])
def lowered_features(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A precision and the features model in it."""
    model = export_precision(MODELS / 'features.onnx', request.param,
                             tmp_path_factory.mktemp('features'),
                             shared / 'bags/kitti_06_stereo', frames=4)
    return request.param, model


def test_features_match_as_well(lowered_features: tuple[str, Path], shared: Path) -> None:
    precision, model = lowered_features
    exact = stereo_match_share(MODELS / 'features.onnx', shared)
    assert exact > 0.5
    assert stereo_match_share(model, shared) == pytest.approx(exact, rel=TOLERANCE[precision])


def test_keypoints_are_as_exact_and_come_again_as_often(
    lowered_features: tuple[str, Path], shared: Path
) -> None:
    pytest.importorskip('torch')
    from perception_nodes.export.keypoint_error import measure_keypoints

    precision, model = lowered_features
    exact = measure_keypoints(KeypointGraph(MODELS / 'features.onnx'), shared / 'data')
    near = measure_keypoints(KeypointGraph(model), shared / 'data')
    for name in ('sigma_px', 'repeatability', 'matching_precision'):
        assert near[name] == pytest.approx(exact[name], rel=TOLERANCE[precision]), name


def test_odometry_on_fp16_features_makes_no_jump(shared: Path, tmp_path: Path) -> None:
    """Where many matches are wrong, a thousandth of a pixel must not choose the motion."""
    model = export_precision(MODELS / 'features.onnx', 'fp16', tmp_path)
    metrics = evaluate(
        'visual_odometry', 'bag', shared / 'bags/kitti_06_stereo', model=model,
        backend='onnxruntime', threads=1, config=VisualOdometryConfig(front_end='learned'),
    ).result()['metrics']
    assert metrics['tracked_fraction'] == 1.0
    assert metrics['rpe_m'] < 0.015, '0.013 m in fp32'
    assert metrics['end_error_percent'] < 1.0
