# SPDX-License-Identifier: Apache-2.0
"""What a lower precision costs in the task's own metric, on real data: fp16 1 %, int8 3 %."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from perception_nodes.evaluation.scorers import SCORERS
from perception_nodes.evaluation.sources import open_source
from perception_nodes.export.precision import export_precision
from perception_nodes.pipelines.build import build_pipeline

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
}


@lru_cache(maxsize=len(CASES))
def reference(task: str, shared: Path) -> float:
    """Metric of the released fp32 model."""
    return score(task, MODELS / f'{task}.onnx', shared)


def score(task: str, model: Path, shared: Path) -> float:
    """Metric of a model file over samples spread through the data set."""
    case = CASES[task]
    source = open_source(task, case.dataset, shared / case.folder, None)
    scorer = SCORERS[task](source)
    pipeline = build_pipeline(task, model=model, backend='onnxruntime', threads=1)
    metric = scorer.metric()
    step = max(1, len(source.samples) // case.samples)
    for index in range(0, step * case.samples, step):
        sample = source.samples[index]
        pipeline.reset()
        scorer.score(metric, sample, scorer.predict(pipeline, sample)[0])
    return metric.compute()[case.metric]


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
