# SPDX-License-Identifier: Apache-2.0
"""A whole replay: a bag in, a folder with results, scores and a report out."""

import json
import math
from collections.abc import Callable, Mapping
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
from perception_nodes.evaluation.replay.tasks import choose_tasks, make_perception, model_info_of
from perception_nodes.evaluation.replay.whole_folder import whole_folder
from perception_nodes.evaluation.report import write_report
from perception_nodes.files import write_atomically
from perception_nodes.messages.decode import REQUIRED
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.perception import Perception
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
    tolerance_ms: float = 5.0
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
        notes = (*(off if not settings.tasks else ()), *assumed, *changed)
        for line in notes:
            note(line)
        done = _replay(bag, cameras, perception, folder / 'outputs', settings, progress)
        if any(done.unpaired):
            notes = (*notes, f'without a partner: {done.unpaired[0]} left and '
                             f'{done.unpaired[1]} right images')
            note(notes[-1])
        result = _score(bag_path, folder, cameras, done, notes, settings, progress)
        _write_json(folder / 'metrics.json', result.metrics)
        _write_json(folder / 'timings.json', result.timings)
    return result


def _replay(
    bag: BagReader, cameras: StereoTopics | CameraTopics, perception: Perception,
    outputs: Path, settings: ReplaySettings, progress: Progress,
) -> Replayed:
    frames = BagFrames(bag, cameras, round(settings.tolerance_ms * 1e6))
    total = min(len(frames), settings.max_frames or len(frames))
    with BagWriter(outputs, compression=settings.compression) as writer:
        return replay(
            frames, perception, writer, info_of=model_info_of, on_demand=settings.on_demand,
            max_frames=settings.max_frames or None,
            progress=lambda number: progress('replay', number, total),
        )


def _score(
    bag_path: Path, folder: Path, cameras: StereoTopics | CameraTopics,
    done: Replayed, notes: tuple[str, ...], settings: ReplaySettings, progress: Progress,
) -> ReplayResult:
    """Score what was written, and write the report."""
    sampled_frames, read = SampledFrames(settings.sample_frames), count(1)
    total = sum(
        done.messages[full_name(task, topics[0])] for task, topics in REQUIRED.items()
    )

    def keep(task: str, result: Any) -> None:
        sampled_frames.keep(task, result)
        progress('score', next(read), total)

    scores = score_outputs(folder / 'outputs', bag_path, keep=keep)
    result = ReplayResult(
        _metrics(bag_path, cameras, done, scores, notes, settings), _timings(done), notes
    )
    frames = sampled_frames.frames() if settings.sample_frames else []
    stamps = [stamp for stamp, _ in frames]
    images, truths = images_at(bag_path, stamps, cameras), truth_at(bag_path, stamps)
    write_report(folder / 'report.html', recording_report(
        f'Replay of {bag_path.name}', scores, frames, images,
        truths=truths, milliseconds=result.timings['milliseconds'], notes=notes,
        subtitle=f'{done.frames} frames, none dropped; perception_nodes {__version__}',
    ))
    return result


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
