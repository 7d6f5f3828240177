# SPDX-License-Identifier: Apache-2.0
"""Results read back from the topics that the nodes, or a replay, left in a bag."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.files.documents import decode_json
from perception_nodes.messages.points import decode_cloud
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.messages.topics import full_name
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import BagError, PerceptionError, PlaceMatch, PlaceMatches

__all__ = ['Recorded', 'model_infos', 'recorded_results', 'recorded_tasks']

# A result is dropped as incomplete once this many newer ones of its task have started.
_PATIENCE = 16


class Recorded(NamedTuple):
    """One result of one task."""

    task: str
    result: Any


def recorded_tasks(bag: BagReader) -> tuple[str, ...]:
    """Name the tasks whose topics the bag holds."""
    present = {name for name, summary in bag.topics().items() if summary.count}
    return tuple(
        name for name, task in TASKS.items()
        if any(full_name(name, topic.name) in present for topic in task.topics)
    )


def recorded_results(bag: BagReader) -> Iterator[Recorded]:
    """Return the results of all tasks, put together from the topics of one stamp.

    The order is that of the last message that each result waited for.
    """
    wanted = _result_topics(bag)
    complete: dict[str, set[str]] = {}
    for task, topic in wanted.values():
        complete.setdefault(task, set()).add(topic)
    waiting: dict[str, dict[int, dict[str, Any]]] = {task: {} for task in complete}
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
    """Return the model_info of each node, by task; empty where it published none."""
    infos = {}
    for task in TASKS:
        topic = full_name(task, 'model_info')
        first = bag.first(topic) if topic in bag.topics() else None
        try:
            infos[task] = decode_json(first.message.data, dict[str, Any]) if first else {}
        except PerceptionError as error:
            raise BagError(f'{bag.path}: {topic} is not JSON: {error}') from None
    return infos


def _result_topics(bag: BagReader) -> dict[str, tuple[str, str]]:
    """Full name to (task, topic) of the topics that results are made of and that hold messages."""
    present = {name for name, summary in bag.topics().items() if summary.count}
    return {
        full_name(name, topic.name): (name, topic.name)
        for name, task in TASKS.items() if task.implementation.decode is not None
        for topic in task.topics
        if not (topic.on_demand or topic.latched) and full_name(name, topic.name) in present
    }


def _stamp_of(message: BagMessage) -> int:
    """Stamp of the image that a message describes; DiagnosticStatus carries it as a value."""
    if hasattr(message.message, 'header'):
        return stamp_ns(message.message.header.stamp)
    values = {entry.key: entry.value for entry in message.message.values}
    return int(values.get('stamp_ns', message.recorded_ns))


def _decoded(task: str, parts: dict[str, Any]) -> Iterator[Recorded]:
    """One result; none if a topic that it cannot do without was not recorded."""
    implementation = TASKS[task].implementation
    if implementation.decode is not None and parts.keys() >= set(implementation.required):
        yield Recorded(task, implementation.decode(parts))
