# SPDX-License-Identifier: Apache-2.0
"""What the user of a replay should know of its cameras and of the ground truth."""

import struct
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence

from perception_nodes.bags.cameras import CameraTopics, StereoTopics
from perception_nodes.bags.reader import BagReader
from perception_nodes.bags.storage_file import shown
from perception_nodes.evaluation.scorers import SCORERS

__all__ = ['camera_notes', 'poor_results', 'unused_truth']

_LITTLE_ENDIAN = 1
_LEAST_TRACKED, _LEAST_DENSITY = 0.5, 0.05


def camera_notes(cameras: StereoTopics | CameraTopics) -> tuple[str, ...]:
    """Say which cameras were not used where there was a choice."""
    if isinstance(cameras, StereoTopics) or not cameras.beside:
        return ()
    return (
        f'{cameras.image} is used, and not {shown(cameras.beside, 4)}: '
        'choose with --image-topic, or --left-topic and --right-topic',
    )


def poor_results(summary: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Say of which tasks next to nothing came out.

    Parameters
    ----------
    summary : by task, as ``Summary.compute`` gives it.
    """
    for task, figures in summary.items():
        tracked, density = figures.get('tracked_fraction', 1.0), figures.get('density', 1.0)
        if tracked <= _LEAST_TRACKED:
            yield (
                f'{task} was lost on {1 - tracked:.0%} of the frames: its path is not to be used '
                '(see its covariance)'
            )
        if density < _LEAST_DENSITY:
            yield f'{task} has an estimate for {density:.1%} of the pixels only'


def unused_truth(
    bag: BagReader, stamps: Sequence[int], scored: Collection[str], tasks: Collection[str]
) -> Iterator[str]:
    """Say which ground truth of a bag belongs to no frame.

    Parameters
    ----------
    stamps : of the frames, nanoseconds. scored : tasks that were scored. tasks : those that ran.
    """
    ordered = sorted(stamps)
    for task, scorer in SCORERS.items():
        topic = scorer.truth_topic
        summary = bag.topics().get(topic)
        if summary is None or not summary.count or task in scored or task not in tasks:
            continue
        if task == 'place_recognition':  # it is no matter of stamps: the vehicle never came back
            continue
        found = [_stamp_ns(raw.data) for raw in bag.raw_messages([topic])]
        if not found or not ordered:
            continue
        nearest = min(min(
            abs(stamp - other) for other in _neighbours(ordered, stamp)
        ) for stamp in found)
        yield (
            f'ground truth {topic} was not used: none of its {len(found)} stamps goes with a '
            f'frame (the nearest is {nearest / 1e9:.6g} s away)'
        )


def _stamp_ns(data: bytes) -> int:
    """Stamp of a message that starts with a header, from its CDR bytes."""
    if len(data) < 12:
        return 0
    order = '<' if data[1] & _LITTLE_ENDIAN else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _neighbours(ordered: Sequence[int], stamp: int) -> Sequence[int]:
    place = bisect_left(ordered, stamp)
    return ordered[max(place - 1, 0):place + 1]
