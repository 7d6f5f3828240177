# SPDX-License-Identifier: Apache-2.0
"""A whole replay: a bag in, a folder with results, scores and a report out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes import __version__
from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.limits import DEFAULT_LIMITS, BagLimits
from perception_nodes.bags.reader import BagReader
from perception_nodes.bags.replay import Replayed, replay
from perception_nodes.bags.writer import BagWriter
from perception_nodes.errors import reason_of
from perception_nodes.evaluation.protocol import Protocol, protocol_inputs
from perception_nodes.evaluation.recordings.recording_report import (
    Frames,
    headline_figures,
    recording_report,
)
from perception_nodes.evaluation.recordings.sampled_frames import (
    images_at,
    truth_at,
)
from perception_nodes.evaluation.recordings.scores import Scores
from perception_nodes.evaluation.replay.notes import camera_notes, poor_results, unused_truth
from perception_nodes.evaluation.replay.observer import ReplayObserver
from perception_nodes.evaluation.replay.tasks import choose_tasks, make_perception
from perception_nodes.evaluation.replay.whole_folder import whole_folder
from perception_nodes.evaluation.report import write_report
from perception_nodes.evaluation.report_parts import Report
from perception_nodes.evaluation.trajectories import evo_section, tum_text, write_trajectories
from perception_nodes.files.atomic import write_atomically
from perception_nodes.files.documents import to_json
from perception_nodes.files.image_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from perception_nodes.messages.camera_infos import MAX_AGE_S
from perception_nodes.messages.pairing import PAIR_CAPACITY, PAIR_TOLERANCE_NS
from perception_nodes.metrics.alignment import Alignment
from perception_nodes.pipelines.build import model_infos
from perception_nodes.pipelines.perception import Perception
from perception_nodes.text import one_line
from perception_nodes.time_order import CLOCK_JUMP_S
from perception_nodes.types import PerceptionError

__all__ = ['ReplayResult', 'ReplaySettings', 'replay_to_folder']

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]
_MOST_CHARACTERS = 2000  # of a note


@dataclass(frozen=True)
class ReplaySettings:
    """What a user may choose of a replay.

    Attributes
    ----------
    tasks : by name; empty = all that the bag's cameras allow.
    left_topic, right_topic, image_topic : cameras by name; empty = found.
    models : other models than the tasks' own, by task.
    parameters : to change, as perception_node names them (``segmentation.flip``): YAML texts.
    backend, precision, threads : as ``inference.open_runner`` takes them.
    max_frames : stop after so many; 0 = all.
    tolerance_ms : how far the stamps of a pair may be apart, milliseconds.
    pair_capacity : images that wait for their partner on each side.
    clock_jump_s : stamps that go back by this much or more start a new pass; a frame that is late
        by less is dropped, seconds.
    camera_info_max_age_s : a camera_info that has not the stamp of an image may be this much older
        or newer, unless it is latched, seconds; 0 = any age.
    bag_limits, image_limits : sizes above which nothing is unpacked or decoded.
    on_demand : also write overlay, points, colours and path.
    compression : of the output bag, 'zstd' or 'none'.
    images : frames shown in the report.
    overwrite : replace an output folder that holds something.
    """

    tasks: tuple[str, ...] = ()
    left_topic: str = ''
    right_topic: str = ''
    image_topic: str = ''
    models: Mapping[str, str | Path] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    backend: str = 'auto'
    precision: str = 'fp16'
    threads: int = 0
    max_frames: int = 0
    tolerance_ms: float = PAIR_TOLERANCE_NS / 1e6
    pair_capacity: int = PAIR_CAPACITY
    clock_jump_s: float = CLOCK_JUMP_S
    camera_info_max_age_s: float = MAX_AGE_S
    bag_limits: BagLimits = DEFAULT_LIMITS
    image_limits: ImageLimits = DEFAULT_IMAGE_LIMITS
    on_demand: bool = False
    compression: str = 'zstd'
    sample_frames: int = 3
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.max_frames < 0 or self.sample_frames < 0 or not 0.0 <= self.tolerance_ms < 1e4:
            raise PerceptionError(
                'max_frames and images are >= 0, tolerance_ms is between 0 and 10000'
            )


@dataclass(frozen=True)
class ReplayResult:
    """What came out.

    Attributes
    ----------
    metrics, timings : content of metrics.json and timings.json.
    notes : what the user should know.
    headline : figure and label of the first metric of every task that was scored.
    """

    metrics: dict[str, Any]
    timings: dict[str, Any]
    notes: tuple[str, ...]
    headline: tuple[tuple[str, str], ...] = ()


def replay_to_folder(
    bag_path: Path, out: Path, settings: ReplaySettings, *,
    progress: Progress = lambda _stage, _done, _total: None, note: Note = lambda _line: None,
) -> ReplayResult:
    """Replay a bag into a folder: topics, trajectories, metrics, times and a report.

    Nothing in metrics.json depends on the clock: two replays write the same bytes.

    Parameters
    ----------
    progress : called with the stage ('replay'), steps done and steps in all.
    note : called with every line that the user should know before it starts.

    Raises
    ------
    PerceptionError
        If the bag, a model or the output folder is at fault; the folder is then left as it was.
    """
    with BagReader(bag_path, settings.bag_limits) as bag, \
            whole_folder(out, overwrite=settings.overwrite) as folder:
        cameras = find_cameras(
            bag, left=settings.left_topic, right=settings.right_topic, image=settings.image_topic
        )
        notes = _Notes(note)
        notes.add(*bag.file_notes)
        tasks, off = choose_tasks(cameras, settings.tasks)
        perception, assumed = make_perception(
            tasks, bag, cameras, models=settings.models, backend=settings.backend,
            precision=settings.precision, threads=settings.threads,
            parameters=settings.parameters,
        )
        changed = tuple(f'{name} is {text}' for name, text in sorted(settings.parameters.items()))
        notes.add(*(off if not settings.tasks else ()), *assumed, *changed)
        notes.add(*camera_notes(cameras), *bag.file_notes)
        frames = BagFrames(
            bag, cameras, round(settings.tolerance_ms * 1e6), capacity=settings.pair_capacity,
            clock_jump_s=settings.clock_jump_s,
            info_max_age_s=settings.camera_info_max_age_s, limits=settings.image_limits,
        )
        done, observer, scores = _replay(
            frames, perception, folder / 'outputs', settings, progress
        )
        notes.add(*frames.notes(), *bag.notes, *done.notes())
        result = _result(
            bag, folder, frames, done, observer, scores, perception, notes, settings
        )
        _write_json(folder / 'metrics.json', result.metrics)
        _write_json(folder / 'timings.json', result.timings)
    return result


class _Notes:
    """Notes for the user, each line once, reported as soon as it is known."""

    def __init__(self, report: Note) -> None:
        self._report = report
        self._lines: dict[str, None] = {}

    def add(self, *lines: str) -> None:
        """Note lines; those that are known already are passed over."""
        for line in (one_line(line, _MOST_CHARACTERS) for line in lines):
            if line not in self._lines:
                self._lines[line] = None
                self._report(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)


def _replay(
    frames: BagFrames, perception: Perception, outputs: Path, settings: ReplaySettings,
    progress: Progress,
) -> tuple[Replayed, ReplayObserver, Scores]:
    """Run all frames; their results are scored as the pipelines returned them."""
    total = min(len(frames), settings.max_frames or len(frames))
    infos = model_infos(perception)
    with BagWriter(outputs, compression=settings.compression) as writer:
        observer = ReplayObserver(frames.bag, infos, settings.sample_frames)
        done = replay(
            frames, perception, writer, on_demand=settings.on_demand,
            max_frames=settings.max_frames or None, observe=observer,
            progress=lambda number: progress('replay', number, total),
        )
        return done, observer, observer.finish(done.messages)


def _result(
    bag: BagReader, folder: Path, frames: BagFrames, done: Replayed, observer: ReplayObserver,
    scores: Scores, perception: Perception, notes: _Notes, settings: ReplaySettings,
) -> ReplayResult:
    """Write trajectories and report, and return the numbers; what fails here costs no result."""
    if observer.reason:
        notes.add(f'the results could not be scored: {observer.reason}')
    notes.add(*poor_results(scores.summary))
    notes.add(*unused_truth(bag, frames.stamps, scores.metrics, done.infos))
    timings = _timings(done)
    try:
        _write_trajectories(folder / 'trajectories', scores)
        write_report(folder / 'report.html', _report(
            bag, frames, done, scores, observer.sampled_frames.frames(), tuple(notes),
            timings['milliseconds'],
        ))
    except Exception as error:  # whatever it is, the results are there
        notes.add(f'the report could not be drawn: {reason_of(error)}')
    metrics = _metrics(bag.path, frames.topics, done, scores, tuple(notes), settings)
    configs = {task: perception.pipelines[task].config for task in perception.tasks}
    metrics['protocol'] = {
        task: Protocol.of(task, 'node', protocol_inputs(task, config, configs), config).content()
        for task, config in configs.items()
    }
    return ReplayResult(metrics, timings, tuple(notes), tuple(headline_figures(scores)))


def _report(
    bag: BagReader, frames: BagFrames, done: Replayed, scores: Scores, shown: Frames,
    notes: tuple[str, ...], milliseconds: dict[str, Any],
) -> Report:
    stamps = [stamp for stamp, _ in shown]
    odometry = scores.metrics.get('visual_odometry')
    return recording_report(
        f'Replay of {bag.path.name}', scores, shown,
        images_at(bag.path, stamps, frames.topics),
        truths=truth_at(bag.path, stamps, scores.tasks), milliseconds=milliseconds, notes=notes,
        subtitle=f'{done.frames} frames; perception_nodes {__version__}',
        sections=[] if odometry is None else [
            evo_section('visual_odometry', Alignment(), odometry, 'trajectories/')
        ],
    )


def _write_trajectories(folder: Path, scores: Scores) -> None:
    """Write the poses that have ground truth beside it; without any, all of them."""
    if not len(scores.poses):
        return
    metric = scores.scored['visual_odometry'].metric
    if metric.stamps_ns:
        write_trajectories(folder, {'visual_odometry': metric})
        return
    folder.mkdir()
    text = tum_text(scores.pose_stamps_ns, scores.poses)
    write_atomically(folder / 'visual_odometry.tum', text.encode())


def _metrics(
    bag_path: Path, cameras: StereoTopics | CameraTopics, done: Replayed, scores: Scores,
    notes: tuple[str, ...], settings: ReplaySettings,
) -> dict[str, Any]:
    """Content of metrics.json."""
    if isinstance(cameras, StereoTopics):
        topics = [cameras.left.image, cameras.right.image]
    else:
        topics = [cameras.image]
    return {
        'bag': bag_path.name,
        'cameras': topics,
        'frames': done.frames,
        'unpaired': list(done.unpaired),
        'models': {
            task: {key: info[key] for key in ('name', 'sha256', 'backend') if key in info}
            for task, info in done.infos.items()
        },
        'parameters': dict(sorted(settings.parameters.items())),
        'outputs': dict(sorted(done.messages.items())),
        'metrics': scores.metrics,
        'summary': scores.summary,
        'digests': done.digests,
        'notes': list(notes),
    }


def _timings(done: Replayed) -> dict[str, Any]:
    """Content of timings.json: p50 and p99 of every call, milliseconds."""
    milliseconds = {
        task: {'p50': float(np.percentile(times, 50)), 'p99': float(np.percentile(times, 99)),
               'mean': float(np.mean(times)), 'calls': len(times)}
        for task, times in done.milliseconds.items() if times
    }
    return {
        'milliseconds': milliseconds,
        'backends': {
            task: info['backend'] for task, info in done.infos.items() if 'backend' in info
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, (to_json(content, indent=2) + '\n').encode())
