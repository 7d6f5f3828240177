# SPDX-License-Identifier: Apache-2.0
"""Recorded topics against the truth of a bag: what is right scores so, and errors by hand."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception_nodes.bags.factory import BagFactory
from perception_nodes.bags.reader import open_bag
from perception_nodes.bags.writer import BagWriter
from perception_nodes.evaluation.recordings import (
    SampledFrames,
    images_at,
    recording_report,
    score_outputs,
    truth_at,
)
from perception_nodes.evaluation.recordings.results import recorded_results
from perception_nodes.evaluation.recordings.scores import Scores
from perception_nodes.evaluation.report_parts import Plot, Text
from perception_nodes.geometry import se3
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError, PlaceMatch, PlaceMatches

FRAMES, FRAME_NS, START_NS = 4, 100_000_000, 5_000_000_000


def test_the_truth_itself_is_perfect(outputs_bag: Any, truth_bag: Path) -> None:
    scores = score_outputs(outputs_bag(), truth_bag)
    metrics = scores.metrics
    assert set(metrics) == {
        'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'visual_odometry'
    }
    assert metrics['segmentation']['miou'] == 1.0
    assert metrics['stereo_depth']['epe_px'] == 0.0
    assert metrics['stereo_depth']['d1'] == 0.0
    assert metrics['stereo_depth']['abs_rel'] == pytest.approx(0.0, abs=1e-6)
    assert metrics['mono_depth']['delta1'] == 1.0
    assert metrics['optical_flow']['epe_px'] == 0.0
    assert metrics['visual_odometry']['ate_m'] == pytest.approx(0.0, abs=1e-9)
    assert metrics['visual_odometry']['path_m'] == pytest.approx(1.2, rel=1e-2)
    assert {task: len(score.values) for task, score in scores.scored.items() if score.values} == {
        'segmentation': 4, 'stereo_depth': 4, 'mono_depth': 4, 'optical_flow': 3,
        'visual_odometry': 4,
    }


def test_errors_by_hand(outputs_bag: Any, truth_bag: Path, changed: Any) -> None:
    def spoil(task: str, frame: int, result: Any) -> Any:
        if task == 'segmentation':
            labels = result.labels.copy()
            labels[: 6] = (labels[: 6] + 1) % 11
            return changed(result, labels=labels)
        if task == 'stereo_depth':
            return changed(result, disparity_px=result.disparity_px + np.float32(0.25))
        if task == 'mono_depth':
            return changed(result, depth_m=result.depth_m * np.float32(1.1))
        if task == 'optical_flow':
            return changed(result, flow_px=result.flow_px + np.float32([3.0, 4.0]))
        shift = se3.exp(np.array([0.0, 0.1 * frame, 0.0, 0.0, 0.0, 0.0]))
        return changed(result, odom_from_base=shift @ result.odom_from_base)

    scores = score_outputs(outputs_bag(spoil), truth_bag)
    metrics = scores.metrics
    assert metrics['segmentation']['accuracy'] == 0.5
    assert metrics['stereo_depth']['epe_px'] == pytest.approx(0.25, rel=1e-5)
    # A quarter pixel, of a sigma of half a pixel: inside one sigma, always.
    assert metrics['stereo_depth']['coverage1'] == 1.0
    assert metrics['mono_depth']['abs_rel'] == pytest.approx(0.1, rel=1e-4)
    assert metrics['optical_flow']['epe_px'] == pytest.approx(5.0, rel=1e-5)
    np.testing.assert_allclose(
        scores.scored['visual_odometry'].values, [0.0, 0.1, 0.2, 0.3], atol=1e-9
    )


def test_frames_that_were_dropped_are_not_errors(
    outputs_bag: Any, truth_bag: Path, changed: Any
) -> None:
    """Frame 2 was dropped: flow of frame 3 goes back to frame 1, of which there is no truth."""
    def drop(task: str, frame: int, result: Any) -> Any:
        if frame == 2:
            return None
        if task == 'optical_flow' and frame == 3:
            return changed(result, previous_stamp_ns=START_NS + FRAME_NS)
        return result

    scores = score_outputs(outputs_bag(drop), truth_bag)
    assert scores.metrics['segmentation']['miou'] == 1.0
    assert len(scores.scored['segmentation'].values) == 3
    assert scores.scored['optical_flow'].stamps_ns == [START_NS + FRAME_NS]
    assert scores.metrics['optical_flow']['epe_px'] == 0.0


def test_order_of_recording_does_not_matter(outputs_bag: Any, truth_bag: Path) -> None:
    """Live nodes answer out of step: topics of one stamp come in any order."""
    def shuffled(entries: list[Any]) -> list[Any]:
        mixed = list(entries)
        random.Random(3).shuffle(mixed)
        return mixed

    scores = score_outputs(outputs_bag(order=shuffled), truth_bag)
    assert scores.metrics['stereo_depth']['epe_px'] == 0.0
    lengths = {task: len(score.values) for task, score in scores.scored.items()}
    assert list(lengths.values())[:5] == [4, 4, 4, 3, 4]


def test_topics_that_were_not_recorded(outputs_bag: Any, truth_bag: Path) -> None:
    bare = outputs_bag(skip=('confidence', 'uncertainty', 'depth/stddev', 'flow/stddev', 'status'))
    metrics = score_outputs(bare, truth_bag).metrics
    assert metrics['segmentation']['miou'] == 1.0
    assert 'ece' not in metrics['segmentation']
    assert 'coverage1' not in metrics['stereo_depth']
    assert metrics['optical_flow']['epe_px'] == 0.0


def test_one_missing_message_costs_one_result(
    outputs_bag: Any, truth_bag: Path, tmp_path: Path
) -> None:
    """A mask without its confidence still counts; a depth without its camera does not."""
    full, thin = outputs_bag(), tmp_path / 'thin'
    lost = {'/segmentation_node/confidence', '/stereo_depth_node/depth/camera_info'}
    with open_bag(full) as bag, BagWriter(thin) as writer:
        for entry in bag.messages():
            if entry.topic not in lost or entry.recorded_ns != START_NS + FRAME_NS:
                writer.write(entry.topic, entry.recorded_ns, entry.message)
    scores = score_outputs(thin, truth_bag)
    assert len(scores.scored['segmentation'].values) == 4
    assert len(scores.scored['stereo_depth'].values) == 3


def test_without_truth_there_are_summaries(outputs_bag: Any) -> None:
    outputs = outputs_bag()
    scores = score_outputs(outputs, outputs)
    assert scores.metrics == {}
    summary = scores.summary
    assert summary['segmentation']['frames'] == 4
    assert summary['segmentation']['mean_confidence'] == 1.0
    assert summary['optical_flow']['frames'] == 3
    assert summary['visual_odometry']['path_m'] == pytest.approx(1.2, rel=1e-2)
    assert summary['visual_odometry']['tracked_fraction'] == 1.0
    assert 1.6 < summary['stereo_depth']['median_depth_m'] < 5.0


def test_truth_between_two_poses(outputs_bag: Any, truth_bag: Path, changed: Any) -> None:
    """Odometry at other times than the truth's is compared with the pose in between."""
    def later(task: str, frame: int, result: Any) -> Any:
        if frame == FRAMES - 1:
            return None
        half = np.array([0.4 * (frame + 0.5), 0.0, 0.0, 0.0, 0.0, 0.05 * (frame + 0.5)])
        return changed(
            result, stamp_ns=result.stamp_ns + FRAME_NS // 2, odom_from_base=se3.exp(half)
        )

    scores = score_outputs(outputs_bag(later, tasks=('visual_odometry',)), truth_bag)
    assert len(scores.scored['visual_odometry'].values) == 3
    assert scores.metrics['visual_odometry']['ate_m'] < 1e-3


def test_a_bag_of_something_else(truth_bag: Path) -> None:
    with pytest.raises(PerceptionError, match='holds no topic of a perception node'):
        score_outputs(truth_bag, truth_bag)


def test_model_info_that_is_not_json(truth_bag: Path, tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'odd') as writer:
        text = BagFactory().make('std_msgs/msg/String', data='{')
        writer.write('/segmentation_node/model_info', 0, text)
    with pytest.raises(PerceptionError, match='is not JSON'):
        score_outputs(tmp_path / 'odd', truth_bag)


def test_images_are_kept_evenly(outputs_bag: Any, truth_bag: Path) -> None:
    sampled_frames = SampledFrames(2)
    score_outputs(outputs_bag(), truth_bag, keep=sampled_frames.keep)
    frames = sampled_frames.frames()
    # The first frame has no flow, so the fuller ones are shown.
    assert [stamp for stamp, _ in frames] == [START_NS + FRAME_NS, START_NS + 3 * FRAME_NS]
    assert set(frames[0][1]) == {
        'segmentation', 'stereo_depth', 'mono_depth', 'optical_flow', 'visual_odometry'
    }
    images = images_at(truth_bag, [stamp for stamp, _ in frames])
    assert [int(image.data[0, 0]) for image in images.values()] == [40, 120]


def test_less_full_frames_are_shown_where_there_are_no_others(
    outputs_bag: Any, truth_bag: Path
) -> None:
    """As on a busy machine, where each node answers other frames."""
    def busy(task: str, frame: int, result: Any) -> Any:
        answered = {1: ('segmentation',), 3: ('segmentation', 'stereo_depth', 'mono_depth')}
        return None if task not in answered.get(frame, TASKS) else result

    sampled_frames = SampledFrames(3)
    score_outputs(outputs_bag(busy), truth_bag, keep=sampled_frames.keep)
    frames = sampled_frames.frames()
    assert [stamp for stamp, _ in frames] == [
        START_NS, START_NS + 2 * FRAME_NS, START_NS + 3 * FRAME_NS
    ]


def test_flow_over_a_longer_interval_is_not_shown_beside_the_truth(
    outputs_bag: Any, changed: Any, truth_bag: Path
) -> None:
    """A node that left a frame out says a longer motion; it is no error."""
    def longer(task: str, frame: int, result: Any) -> Any:
        if task != 'optical_flow' or frame != 3:
            return result
        return changed(result, previous_stamp_ns=result.previous_stamp_ns - FRAME_NS)

    sampled_frames = SampledFrames(9)
    scores = score_outputs(outputs_bag(longer), truth_bag, keep=sampled_frames.keep)
    frames = sampled_frames.frames()
    stamps = [stamp for stamp, _ in frames]
    report = recording_report(
        'drive', scores, frames, images_at(truth_bag, stamps),
        truths=truth_at(truth_bag, stamps, scores.tasks),
    )
    captions = {
        section.title: [getattr(part, 'caption', '') for part in section.parts]
        for section in report.sections if section.title.startswith('Frame at')
    }
    assert 'true flow' in captions['Frame at 0.20 s']
    assert 'true flow' not in captions['Frame at 0.30 s']
    assert report.headline[0] == ('4', 'frames')


def test_a_long_stream_keeps_few(outputs_bag: Any, changed: Any) -> None:
    sampled_frames, held = SampledFrames(3), 0
    with open_bag(outputs_bag(tasks=('segmentation',))) as bag:
        mask = next(iter(recorded_results(bag))).result
    for frame in range(1000):
        sampled_frames.keep('segmentation', changed(mask, stamp_ns=frame))
        held = max(held, len(sampled_frames._kept))
    stamps = [stamp for stamp, _ in sampled_frames.frames()]
    assert held <= 7
    assert stamps[0] == 0
    assert len(stamps) == 3
    assert min(np.diff(stamps)) > 200


def places(*candidates: tuple[float, float, int]) -> tuple[PlaceMatch, ...]:
    """Candidates of an image: stamp of the place in seconds, probability, inliers."""
    return tuple(
        PlaceMatch(0, round(1e9 * stamp), np.eye(4), 0.9, probability, inliers)
        for stamp, probability, inliers in candidates
    )


def test_places_are_drawn_or_it_is_said_that_there_are_none() -> None:
    def section(*candidates: tuple[PlaceMatch, ...]) -> list[Any]:
        scores = Scores(places=[
            PlaceMatches(10**9 * (5 + index), 'camera', matches)
            for index, matches in enumerate(candidates)
        ])
        sections = recording_report('made', scores, [], {}).sections
        return next((part.parts for part in sections if part.title == 'Places'), [])

    assert section() == []
    assert section(places(), places()) == [Text('No place was seen twice in 2 images.')]
    one, = section(places(), places((5.0, 0.9, 30)), places((5.0, 0.2, 0)))
    two, = section(places(), places((5.0, 0.9, 0)), places((5.0, 0.2, 0)))
    assert isinstance(one, Plot) and 'place, s' in one.svg
    assert one.svg != two.svg, 'verified places are ringed'
