# SPDX-License-Identifier: Apache-2.0
"""A few frames' results kept for images while all of them go by."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from perception_nodes.bags.cameras import CameraTopics, StereoTopics, find_cameras
from perception_nodes.bags.reader import BagReader
from perception_nodes.evaluation.bag_truth import BagTruth
from perception_nodes.evaluation.samples import GroundTruth
from perception_nodes.messages.image import decode_image
from perception_nodes.messages.primitives import stamp_ns
from perception_nodes.types import Image

__all__ = ['SampledFrames', 'images_at', 'truth_at']


class SampledFrames:
    """Keeps the results of frames spread evenly over a stream of unknown length.

    Every ``stride``-th new stamp is kept; when too many are, every second one goes and the stride
    doubles.

    Parameters
    ----------
    wanted : frames to be kept at the end, at least; at most twice as many are held.
    """

    def __init__(self, wanted: int = 3) -> None:
        self._limit = 2 * max(wanted, 1)
        self._wanted = wanted
        self._stride = 1
        self._seen: dict[int, int] = {}
        self._kept: dict[int, dict[str, Any]] = {}

    def keep(self, task: str, result: Any) -> None:
        """Show one result."""
        number = self._seen.setdefault(result.stamp_ns, len(self._seen))
        if number % self._stride:
            return
        self._kept.setdefault(number, {'stamp_ns': result.stamp_ns})[task] = result
        if len(self._kept) > self._limit:
            self._stride *= 2
            for kept in [n for n in self._kept if n % self._stride]:
                del self._kept[kept]

    def frames(self) -> list[tuple[int, dict[str, Any]]]:
        """Return (stamp, results by task) of the wanted number of frames, in order of time.

        Frames that hold the most tasks go first, then the next fullest, down to half as full;
        among equals the most evenly spread.
        """
        kept = sorted(self._kept.items())
        most = max((len(results) for _, results in kept), default=0)
        chosen: list[tuple[int, dict[str, Any]]] = []
        for tasks in range(most, most // 2, -1):
            equals = [entry for entry in kept if len(entry[1]) == tasks]
            chosen += _spread(equals, self._wanted - len(chosen))
        return [
            (results['stamp_ns'], {k: v for k, v in results.items() if k != 'stamp_ns'})
            for _, results in sorted(chosen, key=lambda entry: entry[0])
        ]


def _spread(entries: list[Any], wanted: int) -> list[Any]:
    """Pick at most so many, evenly from the first to the last."""
    if len(entries) <= wanted:
        return entries
    steps = max(wanted - 1, 1)
    return [entries[round(i * (len(entries) - 1) / steps)] for i in range(wanted)]


def images_at(
    bag_path: str | Path, stamps: list[int],
    topics: StereoTopics | CameraTopics | None = None,
) -> dict[int, Image]:
    """Return the (left) images of some stamps, as they were recorded.

    Parameters
    ----------
    topics : the cameras; None = found.
    """
    wanted, found = set(stamps), {}
    with BagReader(bag_path) as bag:
        cameras = topics or find_cameras(bag)
        camera = cameras.left if isinstance(cameras, StereoTopics) else cameras
        for entry in bag.messages([camera.image]):
            stamp = stamp_ns(entry.message.header.stamp)
            if stamp in wanted:
                found[stamp] = decode_image(entry.message)
                if len(found) == len(wanted):
                    break
    return found


def truth_at(
    bag_path: str | Path, stamps: list[int], tasks: Collection[str]
) -> dict[int, GroundTruth]:
    """Return the ground truth of some stamps, without that of places (it needs all images)."""
    wanted = set(tasks) - {'place_recognition'}
    with BagReader(bag_path) as bag:
        truth = BagTruth(bag)
        return {stamp: truth.at(stamp, wanted) for stamp in sorted(stamps)}
