# SPDX-License-Identifier: Apache-2.0
"""A whole replay: a bag in, a folder with results, scores and a report out."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from perception_nodes import __version__
from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras
from perception_nodes.bags.frames import BagFrames
from perception_nodes.bags.reader import BagReader
from perception_nodes.bags.replay import Replayed, replay
from perception_nodes.bags.writer import BagWriter
from perception_nodes.evaluation.recordings.recording_report import recording_report
from perception_nodes.evaluation.recordings.sampled_frames import (
    SampledFrames,
    images_at,
    truth_at,
)
from perception_nodes.evaluation.recordings.scores import Scores, score_outputs
from perception_nodes.evaluation.replay.notes import camera_notes, unused_truth
from perception_nodes.evaluation.replay.tasks import choose_tasks, make_perception, model_info_of
from perception_nodes.evaluation.replay.whole_folder import whole_folder
from perception_nodes.evaluation.report import write_report
from perception_nodes.files import write_atomically
from perception_nodes.messages.decode import REQUIRED
from perception_nodes.messages.pairing import PAIR_CAPACITY, PAIR_TOLERANCE_NS
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.perception import Perception
from perception_nodes.time_order import CLOCK_JUMP_S
from perception_nodes.types import PerceptionError

__all__ = ['ReplayResult', 'ReplaySettings', 'replay_to_folder']

Progress = Callable[[str, int, int], None]
Note = Callable[[str], None]


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
    clock_jump_s : stamps that go back by this much or more begin a new pass; a frame that is late
        by less is dropped, seconds.
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
    """What came out: metrics.json, timings.json, and what the user should know."""

    metrics: dict[str, Any]
    timings: dict[str, Any]
    notes: tuple[str, ...]


def replay_to_folder(
    bag_path: Path, out: Path, settings: ReplaySettings, *,
    progress: Progress = lambda _stage, _done, _total: None, note: Note = lambda _line: None,
) -> ReplayResult:
    """Replay a bag into a folder: ``outputs/``, metrics.json, timings.json and report.html.

    Nothing in metrics.json depends on the clock: two replays give the same bytes.

    Parameters
    ----------
    progress : called with the stage ('replay', then 'score'), steps done and steps in all.
    note : called with every line that the user should know before it starts.

    Raises
    ------
    PerceptionError
        If the bag, a model or the output folder is at fault; the folder is then left as it was.
    """
    with BagReader(bag_path) as bag, whole_folder(out, overwrite=settings.overwrite) as folder:
        cameras = find_cameras(
            bag, left=settings.left_topic, right=settings.right_topic, image=settings.image_topic
        )
        tasks, off = choose_tasks(cameras, settings.tasks)
        perception, assumed = make_perception(
            tasks, bag, cameras, models=settings.models, backend=settings.backend,
            precision=settings.precision, threads=settings.threads,
            parameters=settings.parameters,
        )
        changed = tuple(f'{name} is {text}' for name, text in sorted(settings.parameters.items()))
        notes = _Notes(note)
        notes.add(*(off if not settings.tasks else ()), *assumed, *changed)
        notes.add(*camera_notes(cameras), *bag.notes)
        frames = BagFrames(
            bag, cameras, round(settings.tolerance_ms * 1e6), capacity=settings.pair_capacity,
            clock_jump_s=settings.clock_jump_s,
        )
        done = _replay(frames, perception, folder / 'outputs', settings, progress)
        notes.add(*frames.notes(), *bag.notes)
        result = _score(bag, folder, frames, done, notes, settings, progress)
        _write_json(folder / 'metrics.json', result.metrics)
        _write_json(folder / 'timings.json', result.timings)
    return result


class _Notes:
    """What the user should know, each line once, told when it is known."""

    def __init__(self, tell: Note) -> None:
        self._tell = tell
        self._lines: dict[str, None] = {}

    def add(self, *lines: str) -> None:
        """Note lines; those that are known already are passed over."""
        for line in lines:
            if line not in self._lines:
                self._lines[line] = None
                self._tell(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)


def _replay(
    frames: BagFrames, perception: Perception, outputs: Path, settings: ReplaySettings,
    progress: Progress,
) -> Replayed:
    total = min(len(frames), settings.max_frames or len(frames))
    with BagWriter(outputs, compression=settings.compression) as writer:
        return replay(
            frames, perception, writer, info_of=model_info_of, on_demand=settings.on_demand,
            max_frames=settings.max_frames or None,
            progress=lambda number: progress('replay', number, total),
        )


def _score(
    bag: BagReader, folder: Path, frames: BagFrames, done: Replayed, notes: _Notes,
    settings: ReplaySettings, progress: Progress,
) -> ReplayResult:
    """Score what was written, and write the report; what fails here costs no result."""
    sampled_frames, read = SampledFrames(settings.sample_frames), count(1)
    total = sum(
        done.messages[full_name(task, topics[0])] for task, topics in REQUIRED.items()
    )

    def keep(task: str, result: Any) -> None:
        sampled_frames.keep(task, result)
        progress('score', next(read), total)

    scores = Scores()
    try:
        scores = score_outputs(folder / 'outputs', bag.path, keep=keep)
    except Exception as error:  # whatever it is, the results are there
        notes.add(f'the results could not be scored: {_reason(error)}')
    notes.add(*unused_truth(bag, frames.stamps, scores.metrics, done.infos))
    result = ReplayResult(
        _metrics(bag.path, frames.topics, done, scores, tuple(notes), settings), _timings(done),
        tuple(notes),
    )
    try:
        shown = sampled_frames.frames() if settings.sample_frames else []
        stamps = [stamp for stamp, _ in shown]
        write_report(folder / 'report.html', recording_report(
            f'Replay of {bag.path.name}', scores, shown,
            images_at(bag.path, stamps, frames.topics), truths=truth_at(bag.path, stamps),
            milliseconds=result.timings['milliseconds'], notes=result.notes,
            subtitle=f'{done.frames} frames; perception_nodes {__version__}',
        ))
    except Exception as error:  # as above
        notes.add(f'the report could not be drawn: {_reason(error)}')
        result.metrics['notes'] = list(notes)
    return result


def _reason(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return text if isinstance(error, PerceptionError) else f'{type(error).__name__}: {text}'


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
    text = json.dumps(_plain(content), indent=2, allow_nan=False)
    write_atomically(path, (text + '\n').encode())


def _plain(value: Any) -> Any:
    """JSON has no NaN: null instead."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
