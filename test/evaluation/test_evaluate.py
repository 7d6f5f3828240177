# SPDX-License-Identifier: Apache-2.0
"""Evaluation on data whose answer is known: conventions, sources, result, peers, command."""

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

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.writer import BagWriter
from perception_nodes.cli.evaluate import command
from perception_nodes.datasets.files import write_flo
from perception_nodes.datasets.samples import FlowPair
from perception_nodes.evaluation import evaluate as evaluation
from perception_nodes.evaluation.evaluation_report import evaluation_report
from perception_nodes.evaluation.peers.dis_flow import DisFlowPipeline
from perception_nodes.evaluation.peers.sgbm import SgbmPipeline
from perception_nodes.evaluation.predictions import Predictions
from perception_nodes.evaluation.report import render_report
from perception_nodes.evaluation.samples import PlaceQuery, Source, step_of_pair
from perception_nodes.evaluation.scorers.place_recognition import PlaceRecognitionScorer
from perception_nodes.evaluation.scorers.segmentation import SegmentationScorer, class_table
from perception_nodes.evaluation.sources import SOURCES, open_source
from perception_nodes.geometry.warp import warp_by_flow
from perception_nodes.messages.camera import info_from_camera
from perception_nodes.messages.image import image_message
from perception_nodes.messages.primitives import (
    header,
    pose_with_covariance,
    twist_with_covariance,
)
from perception_nodes.types import (
    Camera,
    Depth,
    Image,
    Odometry,
    PerceptionError,
    PlaceMatch,
    PlaceMatches,
    Segmentation,
)


class TrueOdometry:
    """A pipeline that knows the wall drive: it slides to the right by 3 px of 6.25 m a frame."""

    def __init__(self) -> None:
        self.frame = 0

    def reset(self) -> None:
        self.frame = 0

    def __call__(self, left: Image, right: Image, rig: Any) -> Odometry:
        pose = np.eye(4)
        pose[1, 3] = -3 * 6.25 / 100.0 * self.frame
        self.frame += 1
        return Odometry(
            left.stamp_ns, 'odom', 'base_link', pose, np.eye(6), np.zeros(6), np.eye(6)
        )


def put_in_place(monkeypatch: pytest.MonkeyPatch, pipeline: Any) -> None:
    """Let evaluate judge this pipeline instead of the released one."""
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


def write_poses(path: Path, places_m: list[int]) -> None:
    """A mono drive along x, a frame a second, blank pictures."""
    factory = BagFactory()
    camera = Camera.pinhole(16, 12, 16.0, 16.0, 7.5, 5.5, frame_id='camera')
    with BagWriter(path) as writer:
        for second, place_m in enumerate(places_m):
            stamp, pose = second * 10**9 + 1, np.eye(4)
            pose[0, 3] = place_m
            image = Image(np.zeros((12, 16, 3), np.uint8), stamp, 'camera')
            writer.write('/camera/image_rect', stamp, image_message(image, factory))
            writer.write('/camera/camera_info', stamp, info_from_camera(camera, factory, stamp))
            writer.write('/ground_truth/odometry', stamp, odometry_message(factory, stamp, pose))


def odometry_message(factory: BagFactory, stamp: int, pose: np.ndarray) -> Any:
    return factory.make(
        'nav_msgs/msg/Odometry', header=header(factory, stamp, 'odom'),
        child_frame_id='base_link', pose=pose_with_covariance(factory, pose, np.eye(6)),
        twist=twist_with_covariance(factory, np.zeros(6), np.eye(6)),
    )  # fmt: skip


def test_a_pair_is_turned_around_exactly(wall_drive: Any) -> None:
    """Our truth warps the older image onto the newer one; the wrong sign does not."""
    first = Image(np.ascontiguousarray(wall_drive.view(20)), 0)
    second = Image(np.ascontiguousarray(wall_drive.view(13)), 1)
    forward = np.full((*first.data.shape[:2], 2), (7.0, 0.0), np.float32)
    step = step_of_pair(FlowPair('shift', first, second, forward))
    assert step.older.stamp_ns < step.newer.stamp_ns
    assert np.array_equal(step.newer.data, first.data)
    warped = warp_by_flow(step.older.data, step.truth_px)
    seen = np.isfinite(warped)
    assert seen.mean() > 0.9
    assert np.array_equal(warped[seen], step.newer.data[seen])
    wrong = warp_by_flow(step.older.data, -step.truth_px)
    assert np.nanmean(np.abs(wrong - step.newer.data)) > 10.0


def test_flow_is_scored_in_the_direction_of_the_data_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wall_drive: Any
) -> None:
    """DIS gets the shift right to a tenth of a pixel; a flipped sign would cost 10.8 px."""
    write_middlebury_flow(tmp_path, wall_drive.texture)
    put_in_place(monkeypatch, DisFlowPipeline())
    result = evaluation.evaluate(
        'optical_flow', 'middlebury_flow', tmp_path, peers=('dis',)
    ).result()
    assert result['peers']['dis']['epe_px'] < 0.3
    assert result['peers']['dis']['valid_fraction'] == 1.0


def test_the_result_has_the_form_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, SgbmPipeline())
    judged = evaluation.evaluate('stereo_depth', 'bag', wall_bag, peers=('block_matching',))
    result = json.loads(json.dumps(judged.result(), allow_nan=False))
    assert list(result) == [
        'task', 'dataset', 'split', 'model', 'backend', 'frames', 'metrics', 'peers',
        'ms_per_frame',
    ]  # fmt: skip
    assert (result['task'], result['dataset'], result['split']) == ('stereo_depth', 'bag', None)
    assert result['frames'] == 6
    assert list(result['ms_per_frame']) == ['p50', 'p99']
    assert 0.0 < result['ms_per_frame']['p50'] <= result['ms_per_frame']['p99']
    wanted = {'d1', 'epe_px', 'bad1', 'bad2', 'valid_fraction', 'coverage1'}
    assert wanted <= set(result['metrics'])
    assert result['metrics']['d1'] < 0.02
    assert result['peers']['block_matching']['epe_px'] < 1.0


def test_odometry_of_a_bag_is_scored_against_its_truth(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, TrueOdometry())
    judged = evaluation.evaluate('visual_odometry', 'bag', wall_bag)
    assert judged.ours.metrics['path_m'] == pytest.approx(5 * 3 * 6.25 / 100.0)
    assert judged.ours.metrics['end_error_percent'] == pytest.approx(0.0, abs=1e-9)
    assert judged.ours.metrics['coverage1'] == 1.0


class ConstantDepth:
    """Says 5.5 m of every pixel, give or take half a metre."""

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
    judged = evaluation.evaluate('mono_depth', 'bag', wall_bag, details=True)
    metrics = judged.ours.metrics
    assert metrics['abs_rel'] == pytest.approx(0.12, abs=1e-6)
    assert metrics['abs_rel_median_scaled'] == pytest.approx(0.0, abs=1e-6)
    assert (metrics['coverage1'], metrics['coverage2']) == (0.0, 1.0)
    assert '<svg' in render_report(evaluation_report(judged))


@pytest.mark.parametrize(
    ('task', 'samples'),
    [('segmentation', 6), ('stereo_depth', 6), ('mono_depth', 6), ('optical_flow', 5),
     ('visual_odometry', 6)],
)  # fmt: skip
def test_a_bag_gives_every_task_its_frames(wall_bag: Path, task: str, samples: int) -> None:
    source = open_source(task, 'bag', wall_bag, None)
    assert len(list(source.samples)) == len(source.samples) == samples


def test_flow_steps_of_a_bag_have_the_truth_between_their_images(wall_bag: Path) -> None:
    for step in open_source('optical_flow', 'bag', wall_bag, None).samples:
        assert step.newer.stamp_ns - step.older.stamp_ns == 100_000_000
        warped = warp_by_flow(step.older.data, step.truth_px)
        seen = np.isfinite(warped)
        assert np.array_equal(warped[seen], step.newer.data[seen])


def test_a_real_drive_without_dense_truth_says_so(shared: Path) -> None:
    bag = shared / 'bags' / 'kitti_06_stereo'
    drive = open_source('visual_odometry', 'bag', bag, None)
    assert len(drive.samples) == 51
    assert drive.base_from_camera is not None
    with pytest.raises(PerceptionError, match='no frame has /ground_truth/labels'):
        open_source('segmentation', 'bag', bag, None)
    with pytest.raises(PerceptionError, match='never comes back within 3 m'):
        open_source('place_recognition', 'bag', bag, None)


def test_a_drive_that_comes_back_has_places(tmp_path: Path) -> None:
    """One frame a second out and back over 3 m steps: only the way back has answers."""
    path = tmp_path / 'loop'
    write_poses(path, [*range(0, 30, 3), *range(27, -3, -3)])
    queries = list(open_source('place_recognition', 'bag', path, None).samples)
    assert not any(query.same for query in queries[:11])
    assert queries[19].same == {0, 1}
    assert queries[19].ignored == set(range(9, 20))
    assert queries[19].number == 19


def test_sources_name_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match='camvid cannot judge stereo_depth; these can'):
        open_source('stereo_depth', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='no task'):
        open_source('cooking', 'camvid', tmp_path, None)
    with pytest.raises(PerceptionError, match='does not exist'):
        open_source('segmentation', 'camvid', tmp_path / 'nowhere', None)
    with pytest.raises(PerceptionError, match="no split 'dusk'"):
        open_source('mono_depth', 'kitti_depth', tmp_path, 'dusk')
    assert 'bag' in SOURCES['visual_odometry']


def test_an_unknown_peer_is_named(wall_bag: Path) -> None:
    with pytest.raises(PerceptionError, match="no peer 'magic' of stereo_depth; there are: sgbm"):
        evaluation.evaluate('stereo_depth', 'bag', wall_bag, peers=('magic',))


def test_queries_ignore_their_neighbours(shared: Path) -> None:
    walk = open_source('place_recognition', 'loop_matrix', shared / 'data' / 'rtabmap_corridor',
                       None)  # fmt: skip
    query: PlaceQuery = walk.samples[50]
    assert query.same == {8, 9, 10, 11, 12}
    assert query.ignored == set(range(40, 51))
    assert not walk.samples[20].same


class Recogniser:
    """Says of every image that it is the one before (sure) or the one six before (less so)."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def clear(self) -> None:
        self.stamps.clear()

    def reset(self) -> None:
        """Keep the map."""

    def __call__(self, image: Image, camera: Camera) -> PlaceMatches:
        matches = tuple(
            PlaceMatch(0, self.stamps[-back], np.eye(4), 0.9, probability)
            for back, probability in ((1, 0.9), (6, 0.5))
            if len(self.stamps) >= back
        )
        self.stamps.append(image.stamp_ns)
        return PlaceMatches(image.stamp_ns, 'camera', matches)


def test_places_just_seen_neither_help_nor_hurt() -> None:
    """Images repeat after 6; the neighbour that always comes first is taken out."""
    blank = np.zeros((4, 4, 3), np.uint8)
    camera = Camera.pinhole(4, 4, 4.0, 4.0, 1.5, 1.5)
    queries = [
        PlaceQuery(
            str(n), n, Image(blank, n), camera, frozenset({n - 6} if n >= 6 else ()),
            frozenset(range(max(n - 2, 0), n + 1)),
        )
        for n in range(12)
    ]  # fmt: skip
    scorer = PlaceRecognitionScorer(Source(queries))
    metric, pipeline = scorer.metric(), Recogniser()
    for query in queries:
        scorer.score(metric, query, scorer.predict(pipeline, query)[0])
    result = metric.compute()
    assert result['recall1'] == 1.0
    assert result['ap'] == 1.0


def test_classes_are_matched_by_name() -> None:
    table = class_table(('car', 'SKY', 'dog'), ('Sky', 'Car'))
    assert table[[0, 1, 2, 255]].tolist() == [1, 0, 255, 255]
    assert class_table((), ('Sky', 'Car'))[[0, 1, 2]].tolist() == [0, 1, 255]
    with pytest.raises(PerceptionError, match=r'does not know the class\(es\) Car'):
        class_table(('sky',), ('Sky', 'Car'))


def test_segmentation_in_another_numbering_scores_the_same(wall_bag: Path) -> None:
    """The bag says Building (1) everywhere; the model calls it class 0 on the left half."""
    sample = next(iter(open_source('segmentation', 'bag', wall_bag, None).samples))
    scorer = SegmentationScorer(open_source('segmentation', 'bag', wall_bag, None))
    names = (*scorer.classes[1:], scorer.classes[0])
    labels = np.zeros(sample.labels.shape, np.uint8)
    labels[:, labels.shape[1] // 2 :] = 3
    full = np.ones(labels.shape, np.float32)
    result = Segmentation(0, '', labels, 0.5 * full, 0.5 * full, classes=names)
    metric = scorer.metric()
    scorer.score(metric, sample, scorer.predict(lambda image: result, sample)[0])
    assert metric.compute()['iou_building'] == pytest.approx(0.5)
    assert metric.compute()['ece'] == pytest.approx(0.0)


def test_predictions_come_back_and_go_away() -> None:
    arrays = {'flow_px': np.arange(6, dtype=np.float32).reshape(1, 3, 2), 'ok': np.array(True)}
    with Predictions() as predictions:
        predictions.save(3, arrays)
        folder = predictions._path(3).parent
        for name, array in predictions.load(3).items():
            assert np.array_equal(array, arrays[name])
    assert not folder.exists()


def test_the_report_shows_frames_plots_and_numbers(
    monkeypatch: pytest.MonkeyPatch, wall_bag: Path
) -> None:
    put_in_place(monkeypatch, SgbmPipeline())
    judged = evaluation.evaluate(
        'stereo_depth', 'bag', wall_bag, peers=('block_matching',), details=True
    )
    page = render_report(evaluation_report(judged))
    assert page.count('<img ') == 4 * 4
    assert page.count('<svg') == 4
    assert 'block_matching' in page
    assert len(judged.ours.frame_values) == 6


def test_times_are_those_of_the_call(monkeypatch: pytest.MonkeyPatch, wall_bag: Path) -> None:
    """The clock runs in the pipeline's call only: a clock that ticks 5 ms per look gives 5 ms."""
    put_in_place(monkeypatch, SgbmPipeline())
    ticks = iter(range(0, 10**9, 5_000_000))
    monkeypatch.setattr(
        'perception_nodes.evaluation.scorers.timing.time.perf_counter_ns', lambda: next(ticks)
    )
    judged = evaluation.evaluate('stereo_depth', 'bag', wall_bag)
    assert judged.ours.call_ms == (5.0,) * 6
    assert replace(judged.ours, call_ms=(1.0, 3.0)).ms_per_frame['p50'] == 2.0


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
    """The released model on the wall, beside both peers."""
    out, page = tmp_path / 'out.json', tmp_path / 'report.html'
    words = ['stereo_depth', '--dataset', 'bag', '--root', str(wall_bag), '--json', str(out),
             '--report', str(page), '--peers', '--backend', 'onnxruntime', '--threads', '1']
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(out.read_text())
    assert result['model'] == 'stereo_depth'
    assert set(result['peers']) == {'sgbm', 'block_matching'}
    assert result['metrics']['valid_fraction'] > 0.9
    for name, value in result['metrics'].items():
        assert f'{name} ' in done.output
        assert np.isfinite(value)
    assert page.read_text().startswith('<!doctype html>')
