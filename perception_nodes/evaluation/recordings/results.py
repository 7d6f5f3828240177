# SPDX-License-Identifier: Apache-2.0
"""Results read back from the topics that the nodes, or a replay, left in a bag."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.messages.decode import DECODERS, REQUIRED
from perception_nodes.messages.points import decode_cloud
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.messages.topics import TOPICS, full_name
from perception_nodes.types import PerceptionError, PlaceMatch, PlaceMatches

__all__ = ['Recorded', 'model_infos', 'recorded_results', 'recorded_tasks']

# A result is given up as incomplete when this many newer ones of its task have begun.
_PATIENCE = 16


class Recorded(NamedTuple):
    """One result of one task."""

    task: str
    result: Any


def recorded_tasks(bag: BagReader) -> tuple[str, ...]:
    """Name the tasks whose topics the bag holds."""
    present = {name for name, summary in bag.topics().items() if summary.count}
    return tuple(
        task for task in TOPICS
        if any(full_name(task, topic.name) in present for topic in TOPICS[task])
    )


def recorded_results(bag: BagReader) -> Iterator[Recorded]:
    """Give the results of all tasks, put together from the topics of one stamp.

    The order is that of the last message that each result waited for.
    """
    wanted = _result_topics(bag)
    complete = {
        task: {topic for other, topic in wanted.values() if other == task} for task in DECODERS
    }
    waiting: dict[str, dict[int, dict[str, Any]]] = {task: {} for task in DECODERS}
    for message in bag.messages(list(wanted)):
        task, name = wanted[message.topic]
        stamp = _stamp_of(message)
        parts = waiting[task].setdefault(stamp, {})
        parts[name] = message.message
        if parts.keys() >= complete[task]:
            yield from _decoded(task, waiting[task].pop(stamp))
        elif len(waiting[task]) > _PATIENCE:
            yield from _decoded(task, waiting[task].pop(min(waiting[task])))
    for task, stamps in waiting.items():
        for stamp in sorted(stamps):
            yield from _decoded(task, stamps[stamp])
    yield from _place_matches(bag)


def _place_matches(bag: BagReader) -> Iterator[Recorded]:
    """Yield every image's candidate places; their poses are positions only."""
    topic = full_name('place_recognition', 'matches')
    if topic not in bag.topics():
        return
    for message in bag.messages([topic]):
        points = decode_cloud(message.message).reshape(-1)
        yield Recorded('place_recognition', PlaceMatches(
            _stamp_of(message), message.message.header.frame_id,
            tuple(_place_match(point) for point in points),
        ))


def _place_match(point: Any) -> PlaceMatch:
    map_from_place = np.eye(4)
    map_from_place[:3, 3] = point['x'], point['y'], point['z']
    # Seconds as a double are good to half a microsecond; cameras stamp in whole ones.
    stamp = round(float(point['stamp']) * 1e6) * 1000
    return PlaceMatch(
        int(point['id']), stamp, map_from_place, float(point['similarity']),
        float(point['probability']), int(point['inliers']),
    )


def model_infos(bag: BagReader) -> dict[str, dict[str, Any]]:
    """Give what each node said of its model, by task; empty where it said nothing."""
    infos = {}
    for task in TOPICS:
        topic = full_name(task, 'model_info')
        first = bag.first(topic) if topic in bag.topics() else None
        try:
            content = json.loads(first.message.data) if first else {}
        except json.JSONDecodeError as error:
            raise PerceptionError(f'{bag.path}: {topic} is not JSON: {error}') from None
        infos[task] = content if isinstance(content, dict) else {}
    return infos


def _result_topics(bag: BagReader) -> dict[str, tuple[str, str]]:
    """Full name to (task, topic) of the topics that results are made of and that hold messages."""
    needless = {'overlay', 'points', 'flow/color', 'path', 'model_info', 'label_info'}
    present = bag.topics()
    return {
        full_name(task, topic.name): (task, topic.name)
        for task in DECODERS for topic in TOPICS[task]
        if topic.name not in needless
        and full_name(task, topic.name) in present
        and present[full_name(task, topic.name)].count
    }


def _stamp_of(message: BagMessage) -> int:
    """Stamp of the image that a message describes; DiagnosticStatus carries it as a value."""
    if hasattr(message.message, 'header'):
        return stamp_ns(message.message.header.stamp)
    values = {entry.key: entry.value for entry in message.message.values}
    return int(values.get('stamp_ns', message.recorded_ns))


def _decoded(task: str, parts: dict[str, Any]) -> Iterator[Recorded]:
    """One result; none if a topic that it cannot do without was not recorded."""
    if all(name in parts for name in REQUIRED[task]):
        yield Recorded(task, DECODERS[task](parts))
