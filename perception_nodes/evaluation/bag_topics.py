# SPDX-License-Identifier: Apache-2.0
"""The topics in which a bag holds ground truth: images by stamp, and poses over time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from perception_nodes.bags.reader import BagMessage, BagReader
from perception_nodes.geometry import se3
from perception_nodes.messages.image import decode_array
from perception_nodes.messages.primitives import stamp_ns, transform_of_pose
from perception_nodes.types import Array, FloatArray, PerceptionError

__all__ = [
    'DEPTH',
    'DISPARITY',
    'FLOW',
    'IMAGE_TOPICS',
    'LABELS',
    'OCCLUSION',
    'ODOMETRY',
    'TruePath',
    'TruthImages',
]

LABELS = '/ground_truth/labels'
DEPTH = '/ground_truth/depth'
DISPARITY = '/ground_truth/disparity'
FLOW = '/ground_truth/flow'
OCCLUSION = '/ground_truth/occlusion'
ODOMETRY = '/ground_truth/odometry'

IMAGE_TOPICS = (LABELS, DEPTH, DISPARITY, FLOW, OCCLUSION)

# How many stamps' images are kept, for results that come late.
_KEPT = 24
_LONGEST_GAP_NS = 250_000_000


class TruthImages:
    """Truth images of a bag, asked for by stamps that mostly go up; damaged ones are left out.

    Parameters
    ----------
    bag : open. topics : of images, to be read.

    Attributes
    ----------
    topics : those of them that the bag holds.
    """

    def __init__(self, bag: BagReader, topics: Sequence[str] = IMAGE_TOPICS) -> None:
        present = bag.topics()
        self.topics = tuple(name for name in topics if name in present and present[name].count)
        self._stream: Iterator[BagMessage] = (
            bag.messages(self.topics) if self.topics else iter(())
        )
        self._bag = bag
        self._kept: dict[int, dict[str, BagMessage]] = {}
        self._newest_ns = -1

    def find(self, topic: str, stamp: int) -> Array | None:
        """Return the ground truth of one topic for one stamp; None if there is none."""
        if topic not in self.topics:
            return None
        while self._newest_ns <= stamp and (message := next(self._stream, None)) is not None:
            self._keep(message)
        entry = self._kept.get(stamp, {}).get(topic)
        if entry is None:
            return None
        try:
            return decode_array(entry.message)
        except PerceptionError as error:
            self._bag.leave_out(entry, str(error))
            return None

    def stamp_before(self, stamp: int) -> int | None:
        """Return the newest stamp with ground truth before this one; None if it is long ago."""
        return max((known for known in self._kept if known < stamp), default=None)

    def _keep(self, message: BagMessage) -> None:
        try:
            stamp = stamp_ns(message.message.header.stamp)
        except PerceptionError as error:
            self._bag.leave_out(message, str(error))
            return
        self._kept.setdefault(stamp, {})[message.topic] = message
        self._newest_ns = max(self._newest_ns, stamp)
        while len(self._kept) > _KEPT:
            del self._kept[min(self._kept)]


class TruePath:
    """True poses of base_link over time, from /ground_truth/odometry."""

    def __init__(self, bag: BagReader) -> None:
        poses: dict[int, FloatArray] = {}
        if ODOMETRY in bag.topics():
            for entry in bag.messages([ODOMETRY]):
                try:
                    stamp = stamp_ns(entry.message.header.stamp)
                    poses[stamp] = transform_of_pose(entry.message.pose.pose)
                except PerceptionError as error:
                    bag.leave_out(entry, str(error))
        self.stamps_ns = sorted(poses)
        self._poses = poses

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def poses(self) -> list[FloatArray]:
        """The poses of ``stamps_ns``, each [4, 4]."""
        return [self._poses[stamp] for stamp in self.stamps_ns]

    def at(self, stamp: int) -> FloatArray | None:
        """Return odom_from_base [4, 4] at a time, between two poses along the geodesic.

        None outside of the path, and where two poses are further than a quarter second apart.
        """
        if stamp in self._poses:
            return self._poses[stamp]
        place = bisect_left(self.stamps_ns, stamp)
        if place == 0 or place == len(self.stamps_ns):
            return None
        before, after = self.stamps_ns[place - 1], self.stamps_ns[place]
        if after - before > _LONGEST_GAP_NS:
            return None
        first = self._poses[before]
        step = se3.log(se3.inverse(first) @ self._poses[after])
        return first @ se3.exp(step * ((stamp - before) / (after - before)))
